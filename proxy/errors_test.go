package proxy

import (
	"strings"
	"testing"
)

// A fault's kind in the words of Anthropic's API.
func TestFaultsInAnthropicsWords(t *testing.T) {
	for f, want := range map[*fault]string{
		errMalformedChunks: "invalid_request_error",
		errSlowBody:        "invalid_request_error",
		errNotFound:        "not_found_error",
		errBodyTooLarge:    "request_too_large",
		errWrongKey:        "authentication_error",
		errAddressClients:  "rate_limit_error",
		errPanic:           "api_error",
		errDied:            "api_error",
		errHeadTimeout:     "api_error",
		errNobodyUp:        "overloaded_error",
		errBodiesFull:      "overloaded_error",
	} {
		got := string(appendFault(nil, f, answerFields{}, true))
		if _, body, _ := strings.Cut(got, "\r\n\r\n"); body != `{"type":"error","error":{"type":"`+want+`","message":"`+f.message+`"}}` {
			t.Errorf("%s: %s", f.reason, got)
		}
	}
}
