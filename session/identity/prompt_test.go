package identity

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// completion returns a request with a prompt, in one of the forms that there are.
func completion(form, prompt string) request {
	switch form {
	case "list":
		return request{body: `{"model":"m","prompt":[ ` + string(asJSON(prompt)) + ` ]}`, shape: Completion}
	case "ids", "token_ids":
		var list []int
		for _, c := range []byte(prompt) {
			list = append(list, int(c)*100)
		}
		ids, _ := json.Marshal(list) // never fails
		name := map[string]string{"ids": "prompt", "token_ids": form}[form]
		return request{body: `{"model":"m","` + name + `": ` + string(ids) + `,"max_tokens":1}`, shape: Completion}
	}
	return request{body: `{"stream":true,"prompt":` + string(asJSON(prompt)) + `,"model":"m"}`, shape: Completion}
}

var promptForms = []string{"text", "list", "ids", "token_ids"}

// grown returns the prompt of a conversation at a turn.
func grown(common string, n, turn int) string {
	var b strings.Builder
	b.WriteString(common)
	for k := range turn + 1 {
		fmt.Fprintf(&b, "User %d asks question %d.\n\"Assistant\":", n, k)
		if k < turn {
			fmt.Fprintf(&b, " The answer to that is %d, é.\n", 1000*n+k)
		}
	}
	return b.String()
}

// A prompt that grows keeps its id, however many prompts have a beginning in common and however they are interleaved. Prompts
// that open alike and do not continue each other are told apart.
func TestGrowingPrompts(t *testing.T) {
	for _, form := range promptForms {
		for _, common := range []int{0, 10, 100, 300, 1000, 10_000, 100_000} {
			if common > 10_000 && form != "text" {
				continue // token ids are longer
			}
			r := newReplica(t)
			prefix := strings.Repeat("Examples.\n", common/10)
			const all = 30
			var ids [all]map[string]bool
			for turn := range 12 {
				for n := range all {
					i := r.identify(completion(form, grown(prefix, n, turn)))
					if turn == 0 {
						ids[n] = map[string]bool{}
					}
					ids[n][string(i.ID())] = true
					if want := n >= elders; common > maxPromptOpening && i.Wide != want || !i.Shared {
						t.Fatalf("%s, %d bytes in common: turn %d of prompt %d: wide %v", form, common, turn, n, i.Wide)
					}
				}
			}
			union := map[string]bool{}
			for n := range ids {
				if len(ids[n]) != 1 {
					t.Errorf("%s, %d bytes in common: conversation %d has %d ids", form, common, n, len(ids[n]))
				}
				maps.Copy(union, ids[n])
			}
			if len(union) < all-elders+1 {
				t.Errorf("%s, %d bytes in common: %d conversations have %d ids", form, common, all, len(union))
			}
		}
	}
}

// Many short prompts that differ in their last bytes alone are different conversations.
func TestShortPromptsThatDifferAtTheirEnds(t *testing.T) {
	r := newReplica(t)
	var ids [90]string
	for turn := range 3 {
		for n := range ids {
			i := r.identify(completion("text", fmt.Sprintf("Tell me about the number %d.", 10+n)+strings.Repeat(" And then?", turn)))
			if turn > 0 && string(i.ID()) != ids[n] {
				t.Errorf("turn %d of conversation %d has another id", turn, n)
			}
			ids[n] = string(i.ID())
		}
	}
}

// A few prompts that open alike have one id at every replica, though they do not continue each other exactly.
func TestPromptOpenings(t *testing.T) {
	opening := strings.Repeat("x", maxPromptOpening)
	ids := map[string]bool{}
	for _, r := range []*replica{newReplica(t), newReplica(t)} {
		for n := range elders {
			i := r.identify(completion("text", opening+fmt.Sprint(" turn ", n)))
			ids[string(i.ID())] = true
		}
	}
	i, _ := completion("text", opening+"!").identify(mustIdentifier(t, nil))
	if ids[string(i.ID())] = true; len(ids) != 1 {
		t.Errorf("prompts that open alike have %d ids", len(ids))
	}
}

// Equal prompts are one crowd. A prompt that many others begin with does not take all of them for its conversation.
func TestCrowdsOfPrompts(t *testing.T) {
	r := newReplica(t)
	examples := strings.Repeat("One example.\n", 300)
	first := r.identify(completion("text", examples))
	for range 100 {
		if i := r.identify(completion("text", examples)); i != first {
			t.Fatal("equal prompts have different ids")
		}
	}
	ids := map[string]bool{}
	for n := range 100 {
		i := r.identify(completion("text", examples+fmt.Sprintf("What is %d times %d? The answer is", n, n)))
		ids[string(i.ID())] = true
	}
	if len(ids) < 100-2*elders {
		t.Errorf("100 prompts with the same examples have %d ids", len(ids))
	}
}

// Model and caller tell prompts apart, and a prompt is no message.
func TestPromptsOfOthers(t *testing.T) {
	prompt := grown("", 1, 3)
	r := newReplica(t)
	ids := map[string]bool{}
	for _, key := range []string{"a", "b"} {
		for _, model := range []string{"m", "n"} {
			req := completion("text", prompt)
			req.headers = []string{"Authorization: Bearer " + key}
			req.body = strings.Replace(req.body, `"model":"m"`, `"model":"`+model+`"`, 1)
			i := r.identify(req)
			ids[string(i.ID())] = true
		}
	}
	chat := r.identify(request{body: `{"model":"m","messages":[{"role":"user","content":` + string(asJSON(prompt)) + `}]}`, shape: Chat})
	if ids[string(chat.ID())] = true; len(ids) != 5 {
		t.Errorf("%d ids, want 5", len(ids))
	}
}

// These prompts have no opening. Without an id, their requests get a random one.
func TestPromptsWithoutOpening(t *testing.T) {
	for _, body := range []string{
		`{"prompt":""}`, `{"prompt":"fifteen bytes.."}`, `{"prompt":null}`, `{"prompt":7}`, `{"prompt":[]}`, `{"prompt":[ ]}`, `{"prompt":[                    ]}`, `{"prompt":{}}`,
		`{"prompt":[[` + strings.Repeat("1,", 50) + `1]]}`, `{"prompt":["one prompt of two, long enough","another prompt of two, long enough"]}`, `{"prompt":[1,2]}`,
		`{"prompt":[true,false,true,false,true]}`, `{"prompt":"a prompt that is long enough","prompt":null}`, `{"text":"a prompt that is long enough"}`,
		`{"messages":[{"role":"user","content":"Hi, how are you today?"}]}`,
	} {
		r := newReplica(t)
		s := (request{body: body, shape: Completion}).search(r.id)
		var i Identity
		if s.Identify(&i, true, r.known, r.now); !i.random() {
			t.Errorf("%s: the source is %v", body, i.Source)
		}
	}
	off := mustIdentifier(t, func(c *Config) { c.CompletionsOpening = false })
	if i, _ := completion("text", "a prompt that is long enough").identify(off); !i.random() {
		t.Errorf("the source is %v without session.completions_opening", i.Source)
	}
	if i, _ := (request{body: `{"prompt":"a prompt that is long enough"}`, shape: Opaque}).identify(mustIdentifier(t, nil)); !i.random() {
		t.Errorf("the source is %v without a shape", i.Source)
	}
}

// A question teaches nothing about prompts.
func TestTraceOfPrompts(t *testing.T) {
	r := newReplica(t)
	common := strings.Repeat("Examples.\n", 50)
	for n := range 20 {
		r.peek(completion("text", grown(common, n, 0)))
	}
	if r.identify(completion("text", grown(common, 1, 0))).Wide {
		t.Error("questions made an opening wide")
	}
	for n := range 20 {
		r.identify(completion("text", grown(common, n, 0)))
	}
	for n := range 20 {
		next := completion("text", grown(common, n, 1))
		before := r.peek(next)
		if i := r.identify(next); r.peek(next) != before || string(i.ID()) != before {
			t.Errorf("the id is %s, the question said %s", i.ID(), before)
		}
	}
}

// Ids of prompts are a promise as well.
func TestFrozenPrompts(t *testing.T) {
	for form, want := range map[string]string{
		"text": "ee1e6a8b-3e20-8fd2-885c-3f87c7c2c60d", "list": "ee1e6a8b-3e20-8fd2-885c-3f87c7c2c60d",
		"ids": "4b9995cc-0b2a-8612-b011-e01bedd48a0d", "token_ids": "4b9995cc-0b2a-8612-b011-e01bedd48a0d",
	} {
		if got, _ := completion(form, grown("", 1, 3)).identify(mustIdentifier(t, nil)); string(got.ID()) != want {
			t.Errorf("%s: %s, want %s", form, got.ID(), want)
		}
	}
}

func TestPromptsAllocateNothing(t *testing.T) {
	r := newReplica(t)
	var bodies [][]byte
	for n := range 20 {
		bodies = append(bodies, []byte(completion("text", grown(strings.Repeat("x", 2000), n, n%5)).body))
	}
	var s Search
	var i Identity
	if n := allocations(t, 10, func() {
		for _, body := range bodies {
			s.Begin(r.id)
			s.Body(body, Completion)
			s.Identify(&i, true, r.known, r.now)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The steps are multiples of the first one, and few.
func TestSteps(t *testing.T) {
	count := 0
	for at := 0; at < 64<<20; at = nextStep(at) {
		if step := nextStep(at) - at; step%minPrompt != 0 || at > 256 && step > at/8 {
			t.Fatalf("the step after %d is %d", at, nextStep(at))
		}
		count++
	}
	if count > maxSteps {
		t.Errorf("%d steps", count)
	}
	for n := minPrompt; n <= maxPromptOpening; n *= 2 {
		at := 0
		for at < n {
			at = nextStep(at)
		}
		if at != n {
			t.Errorf("%d is no step", n)
		}
	}
}

func FuzzPrompt(f *testing.F) {
	for _, form := range promptForms {
		f.Add(completion(form, "a prompt that is long enough").body)
	}
	f.Add(`{"prompt":[`)
	f.Add(`{"prompt":["a"  ,`)
	f.Add(`{"prompt":[  `)
	f.Add(`{"token_ids":[1,2,3,"a",[4]],"prompt":["x",1]}`)
	r := newReplica(f)
	f.Fuzz(func(t *testing.T, body string) {
		var s Search
		var i Identity
		for range 2 {
			s.Begin(r.id)
			s.Body([]byte(body), Completion)
			s.Identify(&i, true, r.known, r.now)
			if n := len(i.ID()); n > 0 && !Valid(i.ID()) {
				t.Fatalf("invalid id %q", i.ID())
			}
		}
	})
}

func BenchmarkPrompt(b *testing.B) {
	for _, size := range []int{2, 64, 1024} {
		b.Run(fmt.Sprintf("%dKB", size), func(b *testing.B) {
			r := newReplica(b)
			body := []byte(completion("text", strings.Repeat("The quick brown fox jumps over the lazy dog.\n", size<<10/45)).body)
			var s Search
			var i Identity
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				s.Begin(r.id)
				s.Body(body, Completion)
				s.Identify(&i, true, r.known, r.now)
			}
		})
	}
}
