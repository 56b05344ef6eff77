package identity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"
)

func openingOf(t *testing.T, shape Shape, body string) string {
	t.Helper()
	got, _ := request{body: body, shape: shape}.identify(mustIdentifier(t, nil))
	if got.Source.Kind != FromOpening {
		return ""
	}
	return string(got.ID())
}

// The changes that clients make between the turns of one conversation do not change its id.
func TestOpeningSurvives(t *testing.T) {
	for name, c := range map[string]struct {
		shape Shape
		turns []string
	}{
		"appended messages, options, order, white space": {Chat, []string{
			`{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"Hi"}]}`,
			`{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"Hi"},{"role":"assistant","content":"A"},{"role":"user","content":"B"}]}`,
			`{"stream":true,"temperature":0.5,"tools":[{"type":"function"}],"messages":[ {"content":"S","role":"system"}, {"content": "Hi", "role": "user"} ], "model":"m"}`,
			`{"model":"m","messages":[{"role":"system","content":[{"type":"text","text":"S"}]},{"role":"user","content":[{"type":"text","text":"Hi"}]}]}`,
			`{"model":"m","messages":[{"role":"system","content":"\u0053"},{"role":"user","content":"H\u0069"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]}]}`,
			`{"model":"m","messages":[{"role":"developer","content":"S"},{"role":"user","content":"Hi","name":"ada"}]}`,
			`{"model":"m","messages":[{"role":"system","content":["S"]},{"role":"user","content":[{"type":"text","text":"H"},{"text":"i"}]}]}`,
			`{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"Hi"},{"role":"system","content":"T"}],"tools":[{"type":"function"},{"type":"function"}]}`,
			`{"model":"m","messages":[{"role":"user","content":"no"}],"messages":[{"role":"system","content":"S"},{"role":"user","content":"no","content":"Hi"}]}`,
		}},
		"characters that JSON can write in several ways": {Chat, []string{
			`{"messages":[{"role":"user","content":"a/b <é> \"😀\"\n\\u\t"}]}`,
			`{"messages":[{"role":"user","content":"a\/b \u003cé> \u0022\ud83d\ude00\"\u000a\\u\u0009"}]}`,
			`{"messages":[{"role":"user","content":"\u0061/b <\u00E9\u003E \"\uD83D\uDE00\u0022\n\u005Cu\t"}]}`,
		}},
		"image in the first message, cache hints that move": {Chat, []string{
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image","source":{"type":"base64","data":"QUJD"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"text":"Look","type":"text","cache_control":{"type":"ephemeral"}},{"source":{"data":"QUJD","type":"base64"},"type":"image","cache_control":{"type":"ephemeral"}}]}]}`,
		}},
		"a picture by its uuid, with and without the picture": {Chat, []string{
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"},"uuid":"p-1"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":null,"uuid":"p-1"}]},{"role":"assistant","content":"A"},{"role":"user","content":"B"}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"uuid":"p-1","image_url":null}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"uuid":"\u0070-1","image_url":{},"type":"image_url"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"uuid":"p-1","image_url":"https://example.com/a.png","detail":"high"}]}]}`,
		}},
		"a picture by a number as its uuid": {Chat, []string{
			`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,A"},"uuid":7}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":null,"uuid":"7"}]}]}`,
		}},
		"a uuid that is null is none": {Chat, []string{
			`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,A"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,A"},"uuid":null}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"image_url","uuid":"x","image_url":{"url":"data:,A"},"uuid":null}]}]}`,
		}},
		"presigned URLs, a new signature in each turn": {Chat, []string{
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"https://b.s3.amazonaws.com/p/1.png"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"https://b.s3.amazonaws.com/p/1.png?X-Amz-Date=1&X-Amz-Signature=2"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"https:\/\/b.s3.amazonaws.com\/p\/1.png?sig=3\u0026se=4#t=1"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"\u0068ttps://b.s3.amazonaws.com/p/1.png\u003fsig=5"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"https://b.s3.amazonaws.com/p/1.png#page","detail":"low"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"detail":"auto","url":"https://b.s3.amazonaws.com/p/1.png?sig=` + strings.Repeat("x", maxURL) + `"},"detail":"high"}]}]}`,
		}},
		"presigned URLs in Anthropic's form": {Chat, []string{
			`{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"http://h/1.png?sig=1"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"http://h/1.png?sig=2"},"cache_control":{"type":"ephemeral"}}]}]}`,
		}},
		"presigned URLs in the Responses API": {Responses, []string{
			`{"input":[{"role":"user","content":[{"type":"input_image","image_url":"https://h/1.png?sig=1","detail":"auto"}]}]}`,
			`{"input":[{"role":"user","content":[{"type":"input_image","image_url":"https://h/1.png?sig=2"}]}]}`,
		}},
		"anthropic's system beside the messages": {Chat, []string{
			`{"system":"S","messages":[{"role":"user","content":"Hi"}]}`,
			`{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"A"}],"system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}]}`,
		}},
		"no system text, in all forms": {Chat, []string{
			`{"messages":[{"role":"user","content":"Hi"}]}`,
			`{"system":null,"messages":[{"role":"user","content":"Hi"}]}`,
			`{"system":"","messages":[{"role":"user","content":"Hi"}]}`,
			`{"system":[],"messages":[{"role":"user","content":"Hi"}]}`,
			`{"system":[{"type":"text","text":""}],"messages":[{"role":"user","content":"Hi"}]}`,
			"\ufeff" + `{"messages":[{"role":"user","content":"Hi"}]}`,
		}},
		"no instructions, in all forms": {Responses, []string{
			`{"input":"Hi"}`, `{"instructions":null,"input":"Hi"}`, `{"instructions":"","input":"Hi"}`,
		}},
		"Claude Code's billing block, different in every request": {Chat, []string{
			`{"system":[{"type":"text","text":"x-anthropic-billing-header: cch=1;"},{"type":"text","text":"S"}],"messages":[{"role":"user","content":"Hi"}]}`,
			`{"system":[{"type":"text","text":"x-anthropic-billing-header: cch=2;"},{"type":"text","text":"S"}],"messages":[{"role":"user","content":"Hi"}]}`,
			`{"system":"x-anthropic-billing-header: cch=3;\nS","messages":[{"role":"user","content":"Hi"}]}`,
			`{"system":"S","messages":[{"role":"user","content":"Hi"}]}`,
		}},
		"the billing block as a gateway passes it on to OpenAI's API": {Chat, []string{
			`{"messages":[{"role":"system","content":"x-anthropic-billing-header: cch=1;"},{"role":"system","content":"S"},{"role":"user","content":"Hi"}]}`,
			`{"messages":[{"role":"system","content":"x-anthropic-billing-header: cch=2;"},{"role":"system","content":"S"},{"role":"user","content":"Hi"}]}`,
		}},
		"responses, with system and developer items, and items without a role": {Responses, []string{
			`{"input":[{"role":"system","content":"S"},{"role":"developer","content":"D"},{"role":"user","content":"Hi"}]}`,
			`{"input":[{"type":"item_reference","id":"rs_1"},{"type":"message","role":"developer","content":[{"type":"input_text","text":"S"}]},` +
				`{"type":"reasoning","summary":[]},{"type":"message","role":"system","content":"D"},{"role":"user","content":"Hi"},{"type":"function_call_output","output":"x"}]}`,
		}},
		"responses, input as text or list": {Responses, []string{
			`{"instructions":"S","input":"Hi"}`,
			`{"input":[{"role":"user","content":"Hi"}],"instructions":"S"}`,
			`{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]},{"type":"function_call"}],"instructions":"S"}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			first := openingOf(t, c.shape, c.turns[0])
			if first == "" {
				t.Fatal("no opening")
			}
			for _, turn := range c.turns[1:] {
				if got := openingOf(t, c.shape, turn); got != first {
					t.Errorf("another id for %s", turn)
				}
			}
		})
	}
}

// These changes make another conversation.
func TestOpeningDiffers(t *testing.T) {
	bodies := map[Shape][]string{
		Chat: {
			`{"model":"m","messages":[{"role":"user","content":"Hi"}]}`,
			`{"model":"n","messages":[{"role":"user","content":"Hi"}]}`,
			`{"model":"m","messages":[{"role":"user","content":"Ho"}]}`,
			`{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"Hi"}]}`,
			`{"model":"m","messages":[{"role":"system","content":"SHi"},{"role":"user","content":""}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image","data":"A"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image","data":"B"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"image","data":"B"},{"type":"text","text":"Hi"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image_url","image_url":{"url":"A"}}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image","data":"B","uuid":"1"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image","data":"B","uuid":"2"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"uuid":"1"},{"type":"text","text":"Hi"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":"https://h/a?x"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":"https://h/b?x"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":"http://h/a?x"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":"s3://h/a?x"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":"s3://h/a?y"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":"data:,a?x"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":"data:,a?y"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"https://h/a?x"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"https://h/a?y"}]}]}`,
			`{"model":"m","messages":[{"role":"system","content":"S"},{"role":"system","content":"T"},{"role":"user","content":"Hi"}]}`,
			`{"model":"m","messages":[{"role":"system","content":"ST"},{"role":"user","content":"Hi"}]}`,
			`{"model":"m","system":"S","messages":[{"role":"user","content":"Hi"}]}`,
			`{"model":"m","messages":[{"role":"user","content":"\\u0048i"}]}`,
		},
		Responses: {
			`{"model":"m","input":"Hi"}`,
			`{"model":"m","input":"Ho"}`,
			`{"model":"m","input":"Hi","instructions":"S"}`,
			`{"model":"m","input":[{"role":"system","content":"S"},{"role":"user","content":"Hi"}]}`,
			`{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"Hi"},{"type":"input_image","image_url":"A"}]}]}`,
		},
	}
	for shape, list := range bodies {
		seen := map[string]string{}
		for _, body := range list {
			id := openingOf(t, shape, body)
			if id == "" {
				t.Errorf("no opening in %s", body)
			}
			if twin, ok := seen[id]; ok {
				t.Errorf("one id for\n%s\n%s", twin, body)
			}
			seen[id] = body
		}
	}
}

func TestNoOpening(t *testing.T) {
	for _, c := range []struct {
		shape Shape
		body  string
	}{
		{Opaque, hello},
		{Chat, `{"messages":[]}`},
		{Chat, `{"messages":[{"role":"system","content":"S"}]}`},
		{Chat, `{"messages":{"role":"user"}}`},
		{Chat, `{"messages":["user"]}`},
		{Chat, `{"messages":[{"role":"user","content":"Hi"}]`},
		{Chat, `{"messages":[{"role":"user","content":"Hi"}],"messages":[]}`},
		{Chat, `{"messages":[{"role":"user","content":"Hi"}],"messages":null}`},
		{Chat, `{"input":"Hi"}`},
		{Responses, `{"messages":[{"role":"user","content":"Hi"}]}`},
		{Responses, `{"input":"Hi","previous_response_id":"resp_1"}`},
	} {
		if id := openingOf(t, c.shape, c.body); id != "" {
			t.Errorf("an opening in %s", c.body)
		}
	}
}

// said is a conversation as a client knows it, however it writes it.
type said struct {
	model, caller string
	system        string
	first         []piece // of the user's first message
}

// piece is a text, or an image: by its data, by an address of the web, or by its uuid.
type piece struct{ text, image, uuid string }

// drawImage writes an image in one of the ways that there are.
func (p piece) drawImage(t *rapid.T) map[string]any {
	url := map[string]any{"url": p.image}
	image := map[string]any{"type": "image_url", "image_url": url}
	if strings.HasPrefix(p.image, "https:") {
		if mark := rapid.SampledFrom([]string{"", "?", "#"}).Draw(t, "mark"); mark != "" {
			url["url"] = p.image + mark + rapid.StringMatching(`[a-z=&?#/]*`).Draw(t, "signature")
		}
	}
	if rapid.Bool().Draw(t, "detailed") {
		url["detail"] = rapid.SampledFrom([]string{"low", "high", "auto"}).Draw(t, "detail")
	}
	if p.uuid != "" {
		image["uuid"] = p.uuid
		if rapid.Bool().Draw(t, "cached") {
			image["image_url"] = nil
		}
	}
	return image
}

func drawSaid(t *rapid.T) said {
	pieces := rapid.Custom(func(t *rapid.T) piece {
		if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
			of := rapid.SampledFrom([]string{"data:,", "https://h/"}).Draw(t, "of")
			return piece{image: of + rapid.StringMatching(`[a-z\\/"\x{e9}]*`).Draw(t, "image"), uuid: rapid.SampledFrom([]string{"", "u-1", "u/2"}).Draw(t, "uuid")}
		}
		return piece{text: rapid.String().Draw(t, "text")}
	})
	return said{
		model: rapid.StringMatching(`[a-z/]{1,5}`).Draw(t, "model"), caller: rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "caller"),
		system: rapid.String().Draw(t, "system"), first: rapid.SliceOfN(pieces, 1, 4).Draw(t, "first"),
	}
}

// request writes a turn of the conversation in one of the ways that there are.
func (c said) request(t *rapid.T, api string) request {
	body := map[string]any{"model": c.model}
	turns := []any{map[string]any{"role": "user", "content": c.content(t, api)}}
	switch api {
	case "chat":
		role := rapid.SampledFrom([]string{"system", "developer"}).Draw(t, "role")
		turns = append([]any{map[string]any{"role": role, "content": text(t, c.system)}}, turns...)
		body["messages"] = c.later(t, turns)
	case "messages":
		body["system"] = c.blocks(t)
		body["messages"] = c.later(t, turns)
	case "responses":
		body["instructions"] = c.system
		body["input"] = c.later(t, turns)
	}
	for _, option := range []string{"temperature", "stream", "tools", "max_tokens", "metadata", "user"} {
		if rapid.Bool().Draw(t, option) {
			body[option] = rapid.SampledFrom([]any{1, true, "x", []any{map[string]any{"type": "function"}}}).Draw(t, "value")
		}
	}
	shape := Chat
	if api == "responses" {
		shape = Responses
	}
	return request{headers: []string{"Authorization: Bearer " + c.caller}, body: write(t, body), shape: shape}
}

// content is the user's first message: a string where it is all text, or a list of parts, cut at random.
func (c said) content(t *rapid.T, api string) any {
	kind := map[string]string{"responses": "input_text"}[api]
	if kind == "" {
		kind = "text"
	}
	all, parts := "", []any{}
	for _, p := range c.first {
		if p.image != "" {
			all = "\x00"
			parts = append(parts, hinted(t, p.drawImage(t)))
			continue
		}
		all += p.text
		parts = append(parts, hinted(t, map[string]any{"type": kind, "text": p.text}))
	}
	if !strings.Contains(all, "\x00") && rapid.Bool().Draw(t, "as text") {
		return all
	}
	return parts
}

// blocks is Anthropic's system text, with Claude Code's billing block before it, other in every request.
func (c said) blocks(t *rapid.T) any {
	if rapid.Bool().Draw(t, "as text") {
		return c.system
	}
	blocks := []any{hinted(t, map[string]any{"type": "text", "text": c.system})}
	if rapid.Bool().Draw(t, "billed") {
		line := billing + ": cch=" + rapid.StringMatching(`[0-9a-f]{5}`).Draw(t, "cch") + ";"
		blocks = append([]any{map[string]any{"type": "text", "text": verbatim(line)}}, blocks...)
	}
	return blocks
}

// later adds the turns that came since.
func (c said) later(t *rapid.T, turns []any) []any {
	for range rapid.IntRange(0, 3).Draw(t, "later") {
		turns = append(turns, map[string]any{"role": "assistant", "content": rapid.String().Draw(t, "answer")})
		turns = append(turns, rapid.SampledFrom([]any{
			map[string]any{"role": "user", "content": []any{map[string]any{"type": "image_url", "image_url": "data:"}}},
			map[string]any{"role": "user", "content": "go on"},
			map[string]any{"role": "system", "content": "be kind"},
			map[string]any{"type": "function_call_output", "call_id": "c", "output": "o"},
		}).Draw(t, "turn"))
	}
	return turns
}

// verbatim is a text that is written without escapes.
type verbatim string

func text(t *rapid.T, s string) any {
	if rapid.Bool().Draw(t, "as text") {
		return s
	}
	return []any{hinted(t, map[string]any{"type": "text", "text": s})}
}

// hinted puts a cache hint at the part, or none.
func hinted(t *rapid.T, part map[string]any) any {
	if rapid.Bool().Draw(t, "hint") {
		part["cache_control"] = map[string]any{"type": "ephemeral", "ttl": rapid.SampledFrom([]string{"5m", "1h"}).Draw(t, "ttl")}
	}
	return part
}

// write writes JSON: members in any order, white space anywhere, text escaped in any way.
func write(t *rapid.T, v any) string {
	gap := func() string { return rapid.SampledFrom([]string{"", "", " ", "\n\t"}).Draw(t, "gap") }
	var items []string
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return `"` + escape(t, v) + `"`
	case verbatim:
		return `"` + string(v) + `"`
	case []any:
		for _, item := range v {
			items = append(items, gap()+write(t, item)+gap())
		}
		return "[" + strings.Join(items, ",") + "]"
	case map[string]any:
		for _, name := range rapid.Permutation(slices.Sorted(maps.Keys(v))).Draw(t, "order") {
			items = append(items, gap()+`"`+name+`"`+gap()+":"+gap()+write(t, v[name])+gap())
		}
		return "{" + strings.Join(items, ",") + "}"
	}
	return fmt.Sprint(v)
}

func escape(t *rapid.T, s string) string {
	const letters, meant = `bfnrt"\/`, "\b\f\n\r\t\"\\/"
	var b strings.Builder
	way := rapid.IntRange(0, 3).Draw(t, "way") // few escapes, some, or all that there can be
	for i, r := range s {
		n := strings.IndexRune(meant, r)
		switch {
		case n >= 0 && (r != '/' || way > 1) && (way+i)%3 < 2:
			b.WriteString(`\` + letters[n:n+1])
		case r < ' ', r == '"', r == '\\', way == 3, way == 2 && i%2 == 0:
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, []string{`\u%04x`, `\u%04X`}[i%2], unit)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// A conversation keeps its id over all that clients change from turn to turn, and what makes it another conversation
// makes it another id.
func TestOpeningProperty(t *testing.T) {
	id := mustIdentifier(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		c := drawSaid(t)
		api := rapid.SampledFrom([]string{"chat", "messages", "responses"}).Draw(t, "api")
		a, b := c.request(t, api), c.request(t, api)
		first, _ := a.identify(id)
		if first.Source.Kind != FromOpening {
			t.Fatalf("no opening in %s", a.body)
		}
		if again, _ := b.identify(id); string(again.ID()) != string(first.ID()) {
			t.Fatalf("two ids for\n%s\n%s", a.body, b.body)
		}
		other := c
		other.first = slices.Clone(c.first)
		switch rapid.IntRange(0, 3).Draw(t, "change") {
		case 0:
			other.model += "x"
		case 1:
			other.caller += "x"
		case 2:
			other.system += "x"
		case 3:
			p := &other.first[rapid.IntRange(0, len(c.first)-1).Draw(t, "piece")]
			switch {
			case p.uuid != "":
				p.uuid += "x"
			case p.image != "":
				p.image += "x"
			default:
				p.text += "x"
			}
		}
		changed := other.request(t, api)
		if got, _ := changed.identify(id); string(got.ID()) == string(first.ID()) {
			t.Fatalf("one id for\n%s\n%s", a.body, changed.body)
		}
	})
}

// The first turn of a conversation has no answer.
func TestFirstTurn(t *testing.T) {
	id := mustIdentifier(t, nil)
	for body, first := range map[string]bool{
		`{"messages":[{"role":"user","content":"Q"}]}`:                                        true,
		`{"messages":[{"role":"system","content":"S"},{"role":"user","content":"Q"}]}`:        true,
		`{"messages":[{"role":"user","content":"Q"},{"role":"user","content":"Q"}]}`:          true,
		`{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`:     false,
		`{"messages":[{"role":"system","content":"S"}]}`:                                      false,
		`{"messages":[{"role":"user","content":"` + strings.Repeat("x", maxCommon+1) + `"}]}`: false, // the rest is not read
		`{"messages":[{"role":"user","content":"Q"}`:                                          false,
		`{}`: false,
	} {
		if _, s := (request{body: body, shape: Chat}).identify(id); s.FirstTurn != first {
			t.Errorf("%.80s: first turn %v", body, s.FirstTurn)
		}
	}
	if _, s := (request{body: `{"input":"Q"}`, shape: Responses}).identify(id); !s.FirstTurn {
		t.Error("no first turn of one text")
	}
}

// The second turn of a conversation is known by its body, for every client whose turns repeat the conversation.
func TestSecondTurn(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, c := range clients(t) {
		repeats := c.name != "openai-completions" && c.name != "responses-conversation" // the first has no turns, the second sends the last one alone
		for _, f := range c.turns {
			number := f.Name[strings.LastIndexByte(f.Name, ' ')+1:]
			_, s := c.turn(f, 0).identify(id)
			if want := repeats && number == "2"; number != "3" && s.SecondTurn != want {
				t.Errorf("%s, turn %s: second turn %v, want %v", c.name, f.Name, s.SecondTurn, want)
			}
		}
	}
	const user, answer, call, result = `{"role":"user","content":"Q"}`, `{"role":"assistant","content":"A"}`, `{"role":"assistant","tool_calls":[{"id":"t"}]}`, `{"role":"tool","content":"R"}`
	for _, c := range []struct {
		turns  []string
		second bool
	}{
		{[]string{user}, false},
		{[]string{`{"role":"system","content":"S"}`, user}, false},
		{[]string{user, answer}, false}, // the client wrote the beginning of the answer
		{[]string{user, answer, user}, true},
		{[]string{user, call, result, result}, true},
		{[]string{user, answer, answer, user}, true},
		{[]string{`{"content":"Q","role":"user"}`, `{"content":"A","role":"assistant"}`, user}, true},
		{[]string{user, call, result, answer, user}, false},
		{[]string{user, answer, user, answer, user}, false},
		{[]string{user, answer, fmt.Sprintf(`{"role":"user","content":%q}`, strings.Repeat("x", maxCommon+1))}, false},
	} {
		_, s := request{body: `{"messages":[` + strings.Join(c.turns, ",") + `]}`, shape: Chat}.identify(id)
		if s.SecondTurn != c.second {
			t.Errorf("%s: second turn %v", c.turns, s.SecondTurn)
		}
	}
	const asked, reasons, calls, output, says = `{"role":"user","content":"Q"}`, `{"type":"reasoning"}`, `{"type":"function_call"}`, `{"type":"function_call_output"}`, `{"type":"message","role":"assistant","content":"A"}`
	for _, c := range []struct {
		items  []string
		second bool
	}{
		{[]string{asked}, false},
		{[]string{asked, reasons, calls, calls, output, output}, true},
		{[]string{asked, reasons, says, asked}, true},
		{[]string{asked, calls, output, reasons, says, asked}, false},
	} {
		_, s := request{body: `{"input":[` + strings.Join(c.items, ",") + `]}`, shape: Responses}.identify(id)
		if s.SecondTurn != c.second {
			t.Errorf("%s: second turn %v", c.items, s.SecondTurn)
		}
	}
	for _, body := range []string{`{"messages":[` + user + `,` + answer + `,` + user, `[]`, `{"messages":"x"}`} {
		if _, s := (request{body: body, shape: Chat}).identify(id); s.SecondTurn {
			t.Errorf("%s: a second turn", body)
		}
	}
}

// What is known of the turns does not depend on whether an id in the head counts more than the opening.
func TestTurnsAreCountedBesideAnIDInTheHead(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, c := range clients(t) {
		for _, f := range c.turns {
			r := c.turn(f, 0)
			r.headers = nil
			_, want := r.identify(id)
			r.headers = []string{"X-Session-Id: s-1"}
			i, got := r.identify(id)
			if string(i.ID()) != "s-1" {
				t.Errorf("%s, turn %s: id %q", c.name, f.Name, i.ID())
			}
			if got.FirstTurn != want.FirstTurn || got.SecondTurn != want.SecondTurn || got.Continues != want.Continues || got.Files != want.Files {
				t.Errorf("%s, turn %s: first %t, second %t, continues %t, %v with an id; %t, %t, %t, %v without", c.name, f.Name,
					got.FirstTurn, got.SecondTurn, got.Continues, got.Files, want.FirstTurn, want.SecondTurn, want.Continues, want.Files)
			}
		}
	}
}

// A text is hashed where the id is derived from it, and only there.
func TestOpeningIsHashedUnlessTheHeadHasAnID(t *testing.T) {
	first := func(c *Config) { c.Sources = []string{"opening", "header:X-Session-Id"} }
	for _, tt := range []struct {
		name    string
		change  func(*Config)
		headers []string
		hashed  bool
	}{
		{"no id", nil, nil, true},
		{"an id", nil, []string{"X-Session-Id: s"}, false},
		{"an invalid id", nil, []string{"X-Session-Id: " + strings.Repeat("s", maxID+1)}, true},
		{"a placeholder", nil, []string{"X-Session-Id: null"}, true},
		{"two ids", nil, []string{"X-Session-Id: a", "X-Session-Id: b"}, true},
		{"an invalid id and a valid one", nil, []string{"X-Session-Id: null", "Thread-Id: t"}, false},
		{"an id that counts less", first, []string{"X-Session-Id: s"}, true},
		{"a cookie", func(c *Config) { c.Sources = []string{"cookie:sid", "opening"} }, []string{"Cookie: sid=s"}, false},
	} {
		id := mustIdentifier(t, tt.change)
		s := request{headers: tt.headers, body: hello, shape: Chat}.search(id)
		if hashed := s.opening.levels[0] != (xxh3.Uint128{}); hashed != tt.hashed {
			t.Errorf("%s: hashed %t, want %t", tt.name, hashed, tt.hashed)
		}
		var i Identity
		s.Identify(&i, false, nil, time.Time{})
		if derived := i.Source.Kind == FromOpening; derived != tt.hashed {
			t.Errorf("%s: derived %t, want %t", tt.name, derived, tt.hashed)
		}
	}
}
