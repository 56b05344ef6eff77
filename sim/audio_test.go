package sim

import (
	"bytes"
	"mime/multipart"
	"strings"
	"testing"
)

func TestTranscription(t *testing.T) {
	s := start(t, Config{Record: 1})
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	file, err := w.CreateFormFile("file", "a.wav")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(bytes.Repeat([]byte{0, 255, '\r', '\n'}, 50000)); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteField("model", "tiny"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	sent := form.String()
	r := postTo(t, s, "/v1/audio/transcriptions", sent, "Content-Type: "+w.FormDataContentType())
	if r.status != 200 || !strings.HasPrefix(r.body, `{"text":" `) || !strings.HasSuffix(r.body, `"seconds":7}}`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if seen := s.Requests(); string(seen[0].Body) != sent {
		t.Error("the body is not what was sent")
	}
	if r := postTo(t, s, "/v1/audio/transcriptions", strings.Replace(sent, "tiny", "nope", 1), "Content-Type: "+w.FormDataContentType()); r.status != 404 {
		t.Errorf("unknown model: %d", r.status)
	}
	if r := postTo(t, s, "/v1/audio/transcriptions", `{}`); r.status != 400 {
		t.Errorf("no form: %d", r.status)
	}
}
