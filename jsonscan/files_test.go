package jsonscan

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

// noise returns n random bytes in base64.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return base64.StdEncoding.EncodeToString(b)
}

// Pictures and recordings are found wherever they are in a body, taken or skipped; texts are not taken for them.
func TestFiles(t *testing.T) {
	picture, sound := noise(6_000), noise(9_000)
	url := "data:image/png;base64," + picture
	for _, c := range []struct {
		name, text string
		want       Files
	}{
		{"chat", `{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"` + url + `"}}]}]}`, Files{1, len(url)}},
		{"audio", `{"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"` + sound + `","format":"wav"}}]}]}`, Files{1, len(sound)}},
		{
			"messages", `{"messages":[{"content":[{"type":"image","source":{"type":"base64","data":"` + picture + `"}},{"source":{"data":"` + sound + `"}}]}]}`,
			Files{2, len(picture) + len(sound)},
		},
		{"escaped slashes", `{"a":"` + strings.ReplaceAll(url, "/", `\/`) + `"}`, Files{1, len(strings.ReplaceAll(url, "/", `\/`))}},
		{"a member that is taken", `{"taken":"` + url + `"}`, Files{1, len(url)}},
		{"an element that is taken", `{"list":["` + url + `","` + url + `"]}`, Files{2, 2 * len(url)}},
		{"short", `{"a":"data:image/png;base64,` + noise(3_000) + `"}`, Files{}},
		{"text", `{"a":"` + strings.Repeat("All work and no play 1 makes Jack a dull boy. ", 200) + `"}`, Files{}},
		{"one letter", `{"a":"` + strings.Repeat("x", 10_000) + `"}`, Files{}},
		{"digits", `{"a":"` + strings.Repeat("0123456789", 1_000) + `"}`, Files{}},
		{"another script", `{"a":"` + strings.Repeat("日本語", 4_000) + `"}`, Files{}},
		{"a data URL of text", `{"a":"data:text/plain,` + strings.Repeat("aB1", 4_000) + `"}`, Files{}},
		{"a data URL without end", `{"a":"data:` + strings.Repeat("aB1", 4_000) + `"}`, Files{}},
		{"token ids", `{"prompt":[` + strings.Repeat("12345,", 4_000) + `1]}`, Files{}},
		{"unfinished", `{"a":"` + url, Files{}},
	} {
		var s Scanner
		for range 2 { // Reset forgets
			s.Reset([]byte(c.text), 0)
			s.Object(func(name []byte) {
				switch string(name) {
				case "taken":
					s.RawString()
				case "list":
					s.Array(func() bool { s.RawString(); return true })
				}
			})
			if got := s.Files(); got != c.want {
				t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
			}
		}
	}
}

func TestFilesAllocateNothing(t *testing.T) {
	text := []byte(`{"a":[{"b":"` + noise(10_000) + `"}]}`)
	var s Scanner
	count := 0
	if n := testing.AllocsPerRun(100, func() {
		s.Reset(text, 0)
		s.RawValue()
		count += s.Files().Count
	}); n != 0 || count != 101 {
		t.Errorf("%v allocations, %d files", n, count)
	}
}
