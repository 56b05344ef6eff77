package admin

import (
	"errors"
	"net/http"

	"tether/session/identity"
)

// Problem is a request to the API that cannot be met.
type Problem struct {
	// Status is the HTTP status of it.
	Status int
	// Message says what is wrong, and nothing of what was sent.
	Message string
}

func (p *Problem) Error() string { return p.Message }

// maxModel bounds a model's name, in bytes: of a request a longer one is none.
const maxModel = 512

// checkNames tells what is wrong with a session's id or a model's name, nil where that is not given.
func checkNames(id string, model *string) error {
	if !identity.Valid([]byte(id)) {
		return &Problem{400, "want a session id of 1..256 bytes of visible ASCII"}
	}
	if model != nil && len(*model) > maxModel {
		return &Problem{400, "want a model's name of at most 512 bytes"}
	}
	return nil
}

// failed answers with the problem.
func failed(w http.ResponseWriter, err error) {
	var p *Problem
	if !errors.As(err, &p) {
		p = &Problem{500, "internal error"}
	}
	fail(w, p.Status, p.Message)
}
