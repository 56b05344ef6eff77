package identity

import (
	"bytes"
	"io"
	"mime/multipart"
	"strings"
	"testing"
)

// Form finds the model wherever the form has it, and takes nothing in a file for the model.
func TestForm(t *testing.T) {
	const b = "xYz"
	part := func(head, content string) string { return "--" + b + "\r\n" + head + "\r\n\r\n" + content + "\r\n" }
	named := func(name, content string) string {
		return part(`Content-Disposition: form-data; name="`+name+`"`, content)
	}
	file := func(content string) string {
		return part("Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav", content)
	}
	const end = "--" + b + "--\r\n"
	for _, c := range []struct{ name, body, model string }{
		{"first", named("model", "whisper") + file("RIFF") + end, "whisper"},
		{"after the file", file("RIFF\r\n--xY\r\n\r\n") + named("language", "en") + named("model", "whisper") + end, "whisper"},
		{"twice", named("model", "a") + named("model", "b") + end, "b"},
		{"in a file", file("\r\n--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nevil\r\n") + end, ""},
		{"as a file", part(`Content-Disposition: form-data; name="model"; filename="m"`, "evil") + end, ""},
		{"another name", named("models", "evil") + named("Model", "evil") + end, ""},
		{"unquoted, other case", part("X: y\r\ncontent-disposition:form-data;name=model", "whisper") + end, "whisper"},
		{"invalid parameters", part(`Content-Disposition: form-data; x; name="model"; y`, "whisper") + end, "whisper"},
		{"another disposition", part(`Content-Disposition: attachment; name="model"`, "whisper") + end, "whisper"},
		{"an extended name", part(`Content-Disposition: form-data; name*=utf-8''model`, "evil") + end, ""},
		{"no head", "--" + b + "\r\n\r\nevil\r\n" + end, ""},
		{"a preamble", "model\r\n" + named("model", "whisper") + end, "whisper"},
		{"padding", "--" + b + " \t\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n" + end, "whisper"},
		{"a line like a delimiter", file("\r\n--xYzz\r\n") + named("model", "whisper") + end, "whisper"},
		{"after the end", end + named("model", "evil") + end, ""},
		{"cut", strings.TrimSuffix(named("model", "whisper"), "\r\n"), ""},
		{"lines end with LF", strings.ReplaceAll(named("model", "whisper")+end, "\r\n", "\n"), ""},
		{"a long head", part("X: "+strings.Repeat("y", maxPartHead)+"\r\nContent-Disposition: form-data; name=\"model\"", "evil") + end, ""},
		{"a long model", named("model", strings.Repeat("y", maxName+1)) + end, strings.Repeat("y", maxName)},
		{"empty", "", ""},
		{"no form", `{"model":"x"}`, ""},
	} {
		var s Search
		s.Begin(mustIdentifier(t, nil))
		s.Form([]byte(c.body), b)
		if string(s.Model) != c.model || s.IsJSON || len(s.Edit.Text) > 0 {
			t.Errorf("%s: %q, want %q", c.name, s.Model, c.model)
		}
	}
}

// FuzzForm compares the model with the one that mime/multipart finds in a complete form.
func FuzzForm(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nx\r\n--b--\r\n"))
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n\x00\r\n-\r\n--b \r\n\r\n\r\n--b--"))
	id := mustIdentifier(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		var s Search
		s.Begin(id)
		s.Form(body, "b")
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		want, whole := "", false
		for r := multipart.NewReader(bytes.NewReader(body), "b"); ; {
			p, err := r.NextRawPart()
			if err != nil {
				whole = err == io.EOF
				break
			}
			content, err := io.ReadAll(p)
			if err != nil {
				break
			}
			if _, disposition := p.Header["Content-Disposition"]; disposition && p.FormName() == "model" && p.FileName() == "" {
				want = string(content)
			}
		}
		if whole && want != "" && len(want) <= maxName && !bytes.ContainsAny(body, "\t ") && bytes.Count(body, []byte("\n")) == bytes.Count(body, []byte("\r\n")) && string(s.Model) != want {
			t.Fatalf("%q, want %q", s.Model, want)
		}
	})
}

// The files of a body are counted, and a form counts as one file.
func TestFilesOfBodies(t *testing.T) {
	picture := "data:image/png;base64," + strings.Repeat("iVBORw0KGgoAAAANSUhEUgAA", 300)
	body := []byte(`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + picture + `"}}]},` +
		`{"role":"assistant","content":"x"},{"role":"user","content":[{"image_url":"` + picture + `"}]}]}`)
	id, err := NewIdentifier(new(Default()), &Models{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var s Search
	for _, shape := range []Shape{Chat, Opaque} {
		s.Begin(id)
		if s.Body(body, shape); s.Files.Count != 2 || s.Files.Bytes != 2*len(picture) {
			t.Errorf("%+v, want 2 of %d bytes", s.Files, len(picture))
		}
	}
	if s.Begin(id); s.Files.Count != 0 {
		t.Errorf("%+v after Begin", s.Files)
	}
	form := []byte("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nRIFF\r\n--x--\r\n")
	if s.Form(form, "x"); s.Files.Count != 1 || s.Files.Bytes != len(form) {
		t.Errorf("%+v of a form of %d bytes", s.Files, len(form))
	}
}
