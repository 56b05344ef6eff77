package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// maxQuestion bounds the body of /api/where.
const maxQuestion = 64 << 10

// where answers where a session goes. Its id comes in a body, for query strings end up in logs.
func (s *Server) where(w http.ResponseWriter, r *http.Request) {
	var question struct {
		ID    string  `json:"id"`
		Model *string `json:"model"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion))
	d.DisallowUnknownFields()
	if err := d.Decode(&question); err != nil {
		failed(w, badBody(err, `want {"id": ID} or {"id": ID, "model": MODEL}`))
		return
	}
	found, err := s.guide.Session(question.ID, question.Model)
	if err != nil {
		failed(w, err)
		return
	}
	answer(w, 200, found)
}

// whereRequest answers where the request in the body goes, which is there as it came over a connection. One at a
// time: they may be large.
func (s *Server) whereRequest(w http.ResponseWriter, r *http.Request) {
	s.reading.Lock()
	defer s.reading.Unlock()
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.deps.MaxRequest))
	if err != nil {
		failed(w, badBody(err, "the body did not come"))
		return
	}
	answer(w, 200, s.guide.Request(raw))
}

func badBody(err error, want string) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &Problem{413, "the body is larger than this takes"}
	}
	return &Problem{400, want}
}
