package identity

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tether/http1"
	"tether/jsonscan"
)

// Malformed and hostile heads and bodies cost linear time, and memory that does not depend on their size. If the time grew
// with the square of the size, this test would take hours.
func TestBadInput(t *testing.T) {
	const size = 1 << 20
	fill := func(unit string) string { return strings.Repeat(unit, size/len(unit)) }
	deep := func(open, inside, closed string) string {
		return strings.Repeat(open, 100_000) + inside + strings.Repeat(closed, 100_000)
	}
	huge := strings.Repeat("x", 1<<20)
	said := func(content string) string { return `{"messages":[{"role":"user","content":` + content + `}]}` }
	for name, c := range map[string]struct {
		req     request
		source  string
		json    bool
		ignored int
	}{
		"no JSON":                         {request{body: fill("no JSON "), shape: Chat}, "", false, 0},
		"a list":                          {request{body: `[{"session_id":"b"}]`, shape: Chat}, "", false, 0},
		"only an opening bracket":         {request{body: fill("{"), shape: Chat}, "", false, 0},
		"quotes":                          {request{body: `{"a":` + fill(`"`), shape: Chat}, "", false, 0},
		"a string without an end":         {request{body: `{"session_id":"b","a":"` + fill("x"), shape: Chat}, "", false, 0},
		"backslashes without an end":      {request{body: `{"session_id":"b","a":"` + fill(`\`), shape: Chat}, "", false, 0},
		"backslashes":                     {request{body: said(`"` + fill(`\\`) + `"`), shape: Chat}, "opening", true, 0},
		"escaped quotes":                  {request{body: said(`"` + fill(`\"`) + `"`), shape: Chat}, "opening", true, 0},
		"backslashes before quotes":       {request{body: said(`"` + fill(`\\\\\\\"`) + `"`), shape: Chat}, "opening", true, 0},
		"broken escapes":                  {request{body: said(`"` + fill(`\u12\ud83d\x`) + `"`), shape: Chat}, "opening", true, 0},
		"no UTF-8":                        {request{body: said(`"` + fill("\xff\xfe\xf8") + `"`), shape: Chat}, "opening", true, 0},
		"an id that is no UTF-8":          {request{body: "{\"session_id\":\"\xff\",\"conversation\":\"b\"}"}, "body:conversation", true, 1},
		"lists 100,000 deep":              {request{body: said(deep("[", "", "]")), shape: Chat}, "opening", true, 0},
		"objects 100,000 deep":            {request{body: said(deep(`{"content":[`, "", "]}")), shape: Chat}, "opening", true, 0},
		"messages 100,000 deep":           {request{body: `{"messages":` + deep("[", "", "]") + `}`, shape: Chat}, "", true, 0},
		"a field 100,000 deep":            {request{body: `{"metadata":` + deep(`{"user_id":`, `"_session_b"`, "}") + `}`}, "", true, 0},
		"another field 100,000 deep":      {request{body: `{"conversation":` + deep(`{"id":`, `"b"`, "}") + `}`}, "", true, 0},
		"100,000 deep without an end":     {request{body: `{"session_id":"b","messages":` + strings.Repeat(`[{"a":`, 100_000), shape: Chat}, "", false, 0},
		"one name again and again":        {request{body: `{` + fill(`"session_id":"\u0061",`) + `"session_id":"b"}`}, "body:session_id", true, 0},
		"and null at last":                {request{body: `{` + fill(`"session_id":"\u0061",`) + `"session_id":null}`}, "", true, 0},
		"conversations again and again":   {request{body: `{` + fill(`"messages":[{"role":"user","content":"a"}],`) + `"messages":[]}`, shape: Chat}, "", true, 0},
		"roles and contents again":        {request{body: `{"messages":[{` + fill(`"role":"\u0075ser","content":["a"],`) + `"role":"user"}]}`, shape: Chat}, "opening", true, 0},
		"user ids again and again":        {request{body: `{` + fill(`"metadata":{"user_id":"user_session_a"},`) + `"a":1}`}, "body:metadata.user_id", true, 0},
		"members":                         {request{body: `{` + fill(`"a\u0062":1,`) + `"session_id":"b"}`}, "body:session_id", true, 0},
		"messages":                        {request{body: `{"messages":[` + fill(`{"role":"system","content":"\u00e9"},`) + `{"role":"user"}]}`, shape: Chat}, "opening", true, 0},
		"parts":                           {request{body: said(`[` + fill(`{"text":"a"},{"a":"b"},"c",`) + `1]`), shape: Chat}, "opening", true, 0},
		"numbers":                         {request{body: `{"a":` + fill("1") + `,"b":[` + fill("1,") + `1],"session_id":"b"}`}, "body:session_id", true, 0},
		"white space":                     {request{body: `{"a"` + fill(" ") + `:1,"session_id":"b"}`}, "body:session_id", true, 0},
		"an id of 1 MB":                   {request{body: `{"session_id":"` + huge + `","conversation":"b"}`}, "body:conversation", true, 1},
		"an id of 1 MB with escapes":      {request{body: `{"session_id":"\u0061` + huge + `","conversation":"b"}`}, "body:conversation", true, 1},
		"a user id of 1 MB":               {request{body: `{"metadata":{"user_id":"user_` + huge + `_session_b"}}`}, "", true, 1},
		"a user id of 1 MB of JSON":       {request{body: `{"metadata":{"user_id":"{\"session_id\":\"` + huge + `\"}"}}`}, "", true, 1},
		"a header of 1 MB":                {request{headers: []string{"X-Session-Id: " + huge, "Thread-Id: t"}}, "header:thread-id", false, 1},
		"a header's name of 1 MB":         {request{headers: []string{huge + ": a", "Thread-Id: t"}}, "header:thread-id", false, 0},
		"a caller of 1 MB":                {request{headers: []string{"Authorization: Bearer " + huge}, body: said(`"a"`), shape: Chat}, "opening", true, 0},
		"a token of 1 MB":                 {request{headers: []string{"Authorization: Bearer a." + huge + ".c"}, body: said(`"a"`), shape: Chat}, "opening", true, 0},
		"a model of 1 MB":                 {request{body: `{"model":"` + huge + `","session_id":"b"}`}, "body:session_id", true, 0},
		"a model of 1 MB with escapes":    {request{body: `{"model":"\u0061` + huge + `","session_id":"b"}`}, "body:session_id", true, 0},
		"a member's name of 1 MB":         {request{body: `{"` + huge + `":1,"\u0061` + huge + `":1,"session_id":"b"}`}, "body:session_id", true, 0},
		"a role of 1 MB":                  {request{body: `{"messages":[{"role":"\u0061` + huge + `"},{"role":"user"}]}`, shape: Chat}, "opening", true, 0},
		"an id with escapes":              {request{body: `{"session_id":"\u0061b"}`}, "body:session_id", true, 0},
		"a user id in JSON":               {request{body: `{"metadata":{"user_id":"{\"session_id\":\"b\"}"}}`}, "body:metadata.user_id", true, 0},
		"a token":                         {request{headers: []string{"Authorization: Bearer " + jwt(`{"iss":"i","sub":"s"}`)}, body: said(`"a"`), shape: Chat}, "opening", true, 0},
		"cookies":                         {request{headers: []string{"Cookie: " + fill("a=b; ") + "sid=c"}}, "cookie:sid", false, 0},
		"headers that differ":             {request{headers: strings.Split(strings.TrimSpace(strings.Repeat("X-Session-Id: a\nX-Session-Id: b\n", 10_000)), "\n")}, "", false, 1},
		"more than one caller":            {request{headers: []string{"Authorization: Bearer a", "Authorization: Bearer b"}, body: said(`"a"`), shape: Chat}, "opening", true, 0},
		"text that looks like fields":     {request{body: said(`"\",\"session_id\":\"b\",\"prompt_cache_key\":\"b"`), shape: Chat}, "opening", true, 0},
		"fields inside of others":         {request{body: `{"messages":[{"role":"user","content":"a","session_id":"b"}],"extra":{"session_id":"b","conversation":"c"}}`, shape: Chat}, "opening", true, 0},
		"a name that only looks like one": {request{body: `{"session_id ":"b","Session_id":"b","session-id":"b","\"session_id":"b"}`}, "", true, 0},
		"an id after the end of the body": {request{body: `{"a":1}{"session_id":"b"}`}, "", true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			id := mustIdentifier(t, func(c *Config) { c.Sources = append(c.Sources, "cookie:sid"); c.Subagents = Own })
			var names, values [][]byte
			for _, h := range c.req.headers {
				name, value, _ := strings.Cut(h, ": ")
				names, values = append(names, []byte(name)), append(values, []byte(value))
			}
			body := []byte(c.req.body)
			s, i := new(Search), new(Identity)
			step := func() {
				s.Begin(id)
				for n := range names {
					s.Header(names[n], values[n])
				}
				s.Body(body, c.req.shape)
				s.Identify(i, false, nil, time.Time{})
			}
			step()
			if i.Source.String() != c.source || s.IsJSON != c.json || s.Ignored != c.ignored {
				t.Errorf("source %v, want %s; JSON %v, want %v; %d ignored, want %d", i.Source, c.source, s.IsJSON, c.json, s.Ignored, c.ignored)
			}
			if n := allocations(t, 1, step); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if n := reflect.ValueOf(s.json).FieldByName("decoded").Cap() + cap(s.idBuf) + cap(s.callerBuf) + cap(s.modelBuf) + cap(s.previousBuf); n > 16<<10 {
				t.Errorf("%d bytes are kept for the next request", n)
			}
		})
	}
}

// FuzzIdentify sends arbitrary requests: nothing panics, no id is invalid, and no text of a prompt counts as a field. The
// fields are those that encoding/json finds at the top level of the body.
func FuzzIdentify(f *testing.F) {
	f.Add("X-Session-Id", "abc", hello, "say \"session_id\":\"x\"")
	f.Add("cookie", "a=b", `{"session_id":"a","metadata":{"user_id":"{}"}}`, `","session_id":"x`)
	f.Add("Authorization", "Bearer a.e30.c", `{"input":[{"role":"user","content":[{}]}]}`, `\",\"prompt_cache_key\":\"x`)
	f.Add("thread-id", "t", `{"conversation":{"id":"c","id":1},"conversation_id":"\u0063"}`, "\\")
	f.Add("x-claude-code-agent-id", "a", `{"metadata":{"user_id":"user_1_session_2","user_id":"{\"session_id\":\"3\"}"}}`, billing)
	f.Add("", "", `{"messages":[{"content":[{"text":"\ud83d\ude00\/","cache_control":{}},"a",{"image":["b"]}],"role":"\u0075ser"}],"model":"m"}`, "a\nb")
	id := mustIdentifier(f, func(c *Config) { c.Sources = append(c.Sources, "cookie:a") })
	own := mustIdentifier(f, func(c *Config) { c.Subagents = Own })
	var s Search
	f.Fuzz(func(t *testing.T, name, value, body, prompt string) {
		for _, shape := range []Shape{Opaque, Chat, Responses} {
			var i Identity
			for _, ids := range []*Identifier{own, id} {
				s.Begin(ids)
				s.Header([]byte(name), []byte(value))
				s.Body([]byte(body), shape)
				s.Identify(&i, true, nil, time.Time{})
				if n := len(i.ID()); n > 0 && !Valid(i.ID()) {
					t.Fatalf("invalid id %q", i.ID())
				}
			}
			if i.Source.Kind == FromBody || i.Source.Kind == FromOpening {
				checkBody(t, id, &i, body)
			}
		}
		checkPrompt(t, id, &s, prompt)
		if json.Valid([]byte(body)) {
			checkNested(t, id, &s, body)
		}
	})
}

// checkBody compares the source of a body with the fields that encoding/json finds.
func checkBody(t *testing.T, id *Identifier, i *Identity, body string) {
	top := map[string]json.RawMessage{}
	if json.Unmarshal([]byte(body), &top) != nil {
		return // the server refuses the body
	}
	for _, source := range defaultSources() {
		_, field, _ := strings.Cut(source, ":")
		if !strings.HasPrefix(source, "body:") || !Valid(expected(top, field)) || IsPlaceholder(expected(top, field)) {
			continue
		}
		var want Identity
		want.setUUID(id.digest(expected(top, field)))
		if got := i.Source.String(); got != source || string(i.ID()) != string(want.ID()) {
			t.Fatalf("%s: source %s, want %s", body, got, source)
		}
		return
	}
	if i.Source.Kind == FromBody {
		t.Fatalf("%s: source %s, want none", body, i.Source)
	}
}

// expected returns the value of a field, as encoding/json reads it.
func expected(top map[string]json.RawMessage, field string) []byte {
	name, member, nested := strings.Cut(field, ".")
	value := top[name]
	object := map[string]json.RawMessage{}
	_ = json.Unmarshal(value, &object)
	if name == "conversation" && len(value) > 0 && value[0] == '{' {
		nested, member = true, "id"
	}
	if nested {
		value = object[member]
	}
	if member == "user_id" && len(value) > maxEscape*maxID+len(`""`) {
		return nil
	}
	var text string
	if json.Unmarshal(value, &text) != nil && jsonscan.IsInteger(value) {
		text = string(value)
	}
	if member == "user_id" {
		return sessionPart(http1.Trim([]byte(text)))
	}
	return http1.Trim([]byte(text))
}

// checkPrompt checks that the text of a prompt counts as nothing else, in all places where prompts have text.
func checkPrompt(t *testing.T, id *Identifier, s *Search, prompt string) {
	text, err := json.Marshal(prompt)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		shape Shape
		body  string
	}{
		{Chat, `{"messages":[{"role":"user","content":%s}],"prompt":%[1]s}`},
		{Chat, `{"system":%s,"messages":[{"role":"user","content":[{"type":"text","text":%[1]s},{"image":%[1]s}]}],"stop":[%[1]s]}`},
		{Chat, `{"tools":[{"name":%s}],"messages":[{"role":"system","content":%[1]s},{"role":"user","content":""},{"role":"tool","content":%[1]s}]}`},
		{Responses, `{"instructions":%s,"input":%[1]s}`},
		{Responses, `{"input":[{"type":"function_call","arguments":%s},{"role":"user","content":[{"type":"input_text","text":%[1]s}]}]}`},
	} {
		var i Identity
		s.Begin(id)
		s.Body(fmt.Appendf(nil, c.body, text), c.shape)
		s.Identify(&i, false, nil, time.Time{})
		if !s.IsJSON || i.Source.Kind != FromOpening || s.Ignored != 0 {
			t.Fatalf("%s with %s: source %v, JSON %v", c.body, text, i.Source, s.IsJSON)
		}
	}
}

// checkNested checks that fields count at the top level only.
func checkNested(t *testing.T, id *Identifier, s *Search, value string) {
	var i Identity
	s.Begin(id)
	s.Body([]byte(`{"messages":[{"role":"user","content":[`+value+`],"x":`+value+`}],"tools":`+value+`}`), Chat)
	s.Identify(&i, false, nil, time.Time{})
	if !s.IsJSON || i.Source.Kind != FromOpening {
		t.Fatalf("%s: source %v, JSON %v", value, i.Source, s.IsJSON)
	}
}

// shaped returns a body of about size bytes, in one of the shapes that cost the scan most.
func shaped(shape string, size int) string {
	prose := "The quick brown fox jumps over the lazy dog.\\n"
	fill := func(unit string, share int) string { return strings.Repeat(unit, size/share/len(unit)+1) }
	switch shape {
	case "chat":
		text := fill(prose, 4)
		return `{"model":"meta-llama/Llama-3.1-8B-Instruct","stream":true,"messages":[{"role":"system","content":"` + text +
			`"},{"role":"user","content":"` + text + `"},{"role":"assistant","content":"` + text + `"},{"role":"user","content":"` + text +
			`"}],"temperature":0.7}`
	case "agent": // blocks, code with many escapes, tools
		code := fill(`\tif err != nil {\n\t\treturn fmt.Errorf(\"read %q: %w\", name, err)\n\t}\n`, 4)
		tools := strings.TrimSuffix(fill(`{"name":"Bash","input_schema":{"type":"object","properties":{"command":{"type":"string"}}}},`, 4), ",")
		return `{"model":"m","system":[{"type":"text","text":"` + billing + `: cch=1;"},{"type":"text","text":"` + fill(prose, 4) +
			`","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"Fix it."}]},` +
			`{"role":"assistant","content":[{"type":"text","text":"` + code + `"}]},{"role":"user","content":[{"type":"tool_result","content":"` +
			code + `"}]}],"tools":[` + tools + `],"metadata":{"user_id":"none"}}`
	case "tools":
		return `{"model":"m","tools":[` + strings.TrimSuffix(fill(`{"type":"function","function":{"name":"read_file","description":"Read a file `+
			`of the project.","parameters":{"type":"object","properties":{"path":{"type":"string","description":"From the root."},"from":`+
			`{"type":"integer"}},"required":["path"]}}},`, 1), ",") + `],"messages":[{"role":"user","content":"Hi"}]}`
	case "tokens": // structure alone
		return `{"model":"m","token_ids":[` + strings.TrimSuffix(fill("12345,", 1), ",") + `]}`
	case "escaped": // as of serializers that write ASCII alone
		return `{"messages":[{"role":"user","content":"` + fill(`\u4f60\u597d`, 1) + `"}]}`
	case "image":
		return `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + fill("iVBORw0KGgoAAAANSUhEUg", 1) + `"}}]}]}`
	}
	panic("BUG: no such shape")
}

var shapes = []string{"chat", "agent", "tools", "tokens", "escaped", "image"}

// sdkHead is the part of the head of an OpenAI SDK's request that a Search reads.
var sdkHead = []string{
	"User-Agent: OpenAI/Go 3.95.0", "Accept: application/json", "Authorization: Bearer sk-0123456789", "Content-Type: application/json",
	"X-Stainless-Arch: x64", "X-Stainless-Lang: go", "X-Stainless-Os: Linux", "X-Stainless-Retry-Count: 0",
}

// identifying returns the whole identify step for a request of the shape, and the size of its body.
func identifying(t testing.TB, shape string, size int) (step func(), bytes int) {
	id := mustIdentifier(t, nil)
	body := []byte(shaped(shape, size))
	var names, values [][]byte
	for _, h := range sdkHead {
		name, value, _ := strings.Cut(h, ": ")
		names, values = append(names, []byte(name)), append(values, []byte(value))
	}
	of := Chat
	if shape == "tokens" {
		of = Opaque
	}
	s, i := new(Search), new(Identity)
	step = func() {
		s.Begin(id)
		for n := range names {
			s.Header(names[n], values[n])
		}
		s.Body(body, of)
		s.Identify(i, false, nil, time.Time{})
	}
	if step(); !s.IsJSON || of == Chat && i.Source.Kind != FromOpening {
		t.Fatalf("%s: source %v, JSON %v", shape, i.Source, s.IsJSON)
	}
	return step, len(body)
}

// Identifying a request allocates nothing, whatever its body is: neither a body nor a part of one is copied.
func TestIdentifyAllocatesNothing(t *testing.T) {
	for _, shape := range shapes {
		step, _ := identifying(t, shape, 1<<20)
		if n := allocations(t, 3, step); n != 0 {
			t.Errorf("%s: %v allocations", shape, n)
		}
	}
}

// BenchmarkIdentify measures the whole identify step: below 2.5 us for a chat of 2 KB, above 1 GB/s from 64 KB on.
func BenchmarkIdentify(b *testing.B) {
	for _, shape := range shapes {
		for _, size := range []int{2, 64, 1024} {
			b.Run(fmt.Sprintf("%s/%dKB", shape, size), func(b *testing.B) {
				step, bytes := identifying(b, shape, size<<10)
				b.SetBytes(int64(bytes))
				b.ReportAllocs()
				for b.Loop() {
					step()
				}
			})
		}
	}
}

// BenchmarkIdentifyByHeader measures the identify step of a chat of 2 KB whose id is in the head.
func BenchmarkIdentifyByHeader(b *testing.B) {
	id := mustIdentifier(b, nil)
	name, value := []byte("X-Session-Id"), []byte("0b7d1ac5-23a9-4e0c-9a6c-1de4a15fc8a8")
	body := []byte(`{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"` + strings.Repeat("word ", 300) +
		`"},{"role":"user","content":"` + strings.Repeat("word ", 60) + `"}],"temperature":0.7,"max_tokens":512,"stream":false}`)
	var s Search
	var i Identity
	b.ReportAllocs()
	for b.Loop() {
		s.Begin(id)
		s.Header(name, value)
		s.Body(body, Chat)
		s.Identify(&i, true, nil, time.Time{})
	}
}

// Broken JSON inside a value that the scan descends into does not hide the members after the value.
func TestBrokenInside(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, value := range []string{
		`[{"role" "user"},{x}]`, `[{"role":"user","content":}]`, `[{"role":"user","content":[{"text" 1},,]},]`, `[{,}]`, `[,]`, `[1 2]`,
		`[{"role":"user","content":["a" "b"]}]`, `[{"role":["user"],"content":{"text":"a"}}]`, `[["user"]]`, `{"role":"user"}`, `[:]`,
	} {
		got, s := request{body: `{"messages":` + value + `,"session_id":"b"}`, shape: Chat}.identify(id)
		if !s.IsJSON || got.Source.String() != "body:session_id" {
			t.Errorf("%s: source %v, JSON %v", value, got.Source, s.IsJSON)
		}
	}
}

// A body has one scan, and a scan never goes back: together this means one pass. Two other texts are scanned: the claims of
// a caller's token, and the session in a user id, which is JSON in a string.
func TestOneScan(t *testing.T) {
	made := map[string][]string{} // the functions that make a Scanner, or call Members
	own, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	scanners, err := filepath.Glob("../../jsonscan/*.go")
	if err != nil || len(scanners) == 0 {
		t.Fatal("no jsonscan", err)
	}
	for _, path := range append(own, scanners...) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, is := d.(*ast.FuncDecl)
			if !is {
				continue
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				for _, x := range makes(n) {
					if of, is := x.(*ast.SelectorExpr); is {
						x = of.Sel
					}
					if id, is := x.(*ast.Ident); is && (id.Name == "Scanner" || id.Name == "Members") {
						made[id.Name] = append(made[id.Name], f.Name.Name)
					}
				}
				return true
			})
		}
	}
	want := map[string][]string{"Scanner": {"Members"}, "Members": {"identityIn", "sessionPart"}}
	for _, functions := range made {
		slices.Sort(functions)
	}
	if !maps.EqualFunc(made, want, slices.Equal) {
		t.Errorf("scans are made in %v, want %v", made, want)
	}
}

// makes returns the types that a node makes a value of, and the functions that it calls.
func makes(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.CompositeLit:
		return []ast.Expr{n.Type}
	case *ast.ValueSpec:
		return []ast.Expr{n.Type}
	case *ast.CallExpr:
		if f, is := n.Fun.(*ast.Ident); is && f.Name == "new" {
			return n.Args
		}
		return []ast.Expr{n.Fun}
	}
	return nil
}

// Model and Previous are cut to maxName.
func TestLongNamesAreBounded(t *testing.T) {
	id := mustIdentifier(t, nil)
	long := strings.Repeat("m", 1<<20)
	for _, name := range []string{long, strings.Repeat(`\u0041`, 1<<18)} {
		_, s := request{body: `{"model":"` + name + `","previous_response_id":"` + name + `","messages":[]}`, shape: Chat}.identify(id)
		if len(s.Model) != maxName || len(s.Previous) == 0 || len(s.Previous) > maxName {
			t.Errorf("model of %d bytes, response of %d", len(s.Model), len(s.Previous))
		}
	}
}

// An empty session in metadata.user_id counts as absent, not as ignored.
func TestEmptySessionPart(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, body := range []string{`{"metadata":{"user_id":"{\"session_id\":\"\"}"}}`, `{"metadata":{"user_id":"user_1_session_"}}`} {
		if _, s := (request{body: body}).identify(id); s.Ignored != 0 {
			t.Errorf("%s: %d ignored", body, s.Ignored)
		}
	}
}

// An integer is an id, and the same id as the string of its digits.
func TestIntegersAreIDs(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, digits := range []string{"0", "7", "-7", "1234567890123456789012345678901234567890", strings.Repeat("9", maxID)} {
		text, _ := request{body: `{"session_id":"` + digits + `"}`}.identify(id)
		for _, body := range []string{
			`{"session_id":%s}`, `{"session_id": %s }`, "{\"session_id\":\t%s\n,\"a\":1}", `{"session_id":"x","session_id":%s}`, `{"vllm_xargs":{"session_id":%s}}`,
			`{"metadata":{"a":[1],"session_id":%s}}`, `{"prompt_cache_key":%s}`, `{"conversation":%s}`, `{"conversation":{"id":%s}}`, `{"conversation_id":%s}`,
			`{"metadata":{"user_id":"{\"session_id\":%s}"}}`,
		} {
			if got, s := (request{body: fmt.Sprintf(body, digits)}).identify(id); string(got.ID()) != string(text.ID()) || !s.IsJSON {
				t.Errorf("%s: source %v, another id than the text has", fmt.Sprintf(body, digits), got.Source)
			}
		}
	}
	if got, s := (request{body: `{"session_id":1` + strings.Repeat("0", maxID) + `}`}).identify(id); got.Source.Kind != 0 || s.Ignored != 1 {
		t.Errorf("an integer of 257 digits: source %v, %d ignored", got.Source, s.Ignored)
	}
}

// Values that are neither strings nor integers, and fields that are not at the top level, are no ids. They do not count as ignored.
func TestValuesThatAreNoIDs(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, body := range []string{
		`{"session_id":-0}`, `{"session_id":1e3}`, `{"session_id":1.0}`, `{"session_id":01}`, `{"session_id":-}`, `{"session_id":+1}`, `{"session_id":0x1}`,
		`{"session_id":true}`, `{"session_id":[1]}`, `{"session_id":NaN}`, `{"session_id":1,"session_id":null}`, `{"session_id":null}`, `{"session_id":["a"]}`, `{"session_id":""}`, `{"session_id":{"id":"a"}}`,
		`{"x":{"session_id":"a"}}`, `{"x":"\"session_id\":\"a\""}`, `{"prompt":"{\"session_id\":\"a\"}"}`,
		`{"session_id":"a","session_id":null}`, `{"metadata":{}}`, `{"metadata":"user_1__session_1"}`,
		`{"metadata":{"user_id":1}}`, `{"metadata":{"user_id":"{\"session_id\":1.5}"}}`, `{"vllm_xargs":{"session_id":{"id":"a"}}}`, `{"vllm_xargs":"a"}`,
		`{"conversation":{"id":1.5}}`, `{"conversation":{"id":""}}`, `{"conversation":{"x":{"id":"a"}}}`, `{"conversation":[{"id":"a"}]}`,
		`{"conversation":{"id":"a"},"conversation":null}`, `{"conversation":"a","conversation":{"ID":"b"}}`, `{"conversation":{"id":"a","id":{}}}`,
	} {
		if got, s := (request{body: body}).identify(id); got.Source.Kind != 0 || s.Ignored != 0 {
			t.Errorf("%s: source %v, %d ignored", body, got.Source, s.Ignored)
		}
	}
}

func TestLastOfDuplicateFieldsCounts(t *testing.T) {
	id := mustIdentifier(t, nil)
	twice, _ := request{body: `{"session_id":"a","model":"x","session_id":"b","model":"y"}`}.identify(id)
	once, s := request{body: `{"session_id":"b","model":"y"}`}.identify(id)
	if string(twice.ID()) != string(once.ID()) || string(s.Model) != "y" {
		t.Error("the first of two fields counts")
	}
	for _, body := range []string{
		`{"session\u005fid":"\u0062"}`, `{"conversation":"b"}`, `{"conversation":{"id":"b"}}`, `{"conversation":"a","conversation":{"id":"a","id":"b"}}`,
		`{"metadata":{"user_id":"a"},"metadata":{"user_id":"{\"session_id\":\"b\"}"}}`,
	} {
		if got, _ := (request{body: body}).identify(id); string(got.ID()) != string(once.ID()) {
			t.Errorf("%s is another id", body)
		}
	}
}

func TestNestedField(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) { c.Sources = []string{"body:a.b.c"} })
	if got, _ := (request{body: `{"a":{"x":1,"b":{"c":"deep"}}}`}).identify(id); got.Source.String() != "body:a.b.c" {
		t.Errorf("source %v", got.Source)
	}
}
