package admin

import (
	"encoding/json"
	"net/http"

	"tether/preview"
)

// maxServers limits the body of /api/preview, in bytes: more than the most servers need.
const maxServers = 16 << 20

// Previewed is the answer of /api/preview.
type Previewed struct {
	preview.Preview
	// NeedRestart are the keys that differ and cannot change while tether runs.
	NeedRestart []string `json:"need_restart"`
}

// preview answers what a reload with the servers of the body would change. Such an answer takes up to a second of one core, so one is
// handled at a time.
func (s *Server) preview(w http.ResponseWriter, r *http.Request) {
	s.reading.Lock()
	defer s.reading.Unlock()
	var question struct {
		Upstreams []preview.Server  `json:"upstreams"`
		Fixed     map[string]string `json:"fixed"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxServers))
	d.DisallowUnknownFields()
	if err := d.Decode(&question); err != nil {
		writeProblem(w, problemOfBody(err, `want {"upstreams": [...]}, as tether check --against sends it`))
		return
	}
	p, err := preview.Of(s.deps.Registry.Table(), s.deps.Pins.Pins, question.Upstreams)
	if err != nil {
		writeError(w, 400, err.Error())
		return
	}
	writeJSON(w, 200, Previewed{p, append([]string{}, s.deps.Settings().NeedRestart(question.Fixed)...)})
}
