package proxy

import (
	"strings"
	"testing"
)

// A fault's kind in the words of Anthropic's API.
func TestFaultsInAnthropicsForm(t *testing.T) {
	for f, want := range map[*fault]string{
		faultMalformedChunks: "invalid_request_error",
		faultSlowBody:        "invalid_request_error",
		faultNotFound:        "not_found_error",
		faultBodyTooLarge:    "request_too_large",
		faultWrongKey:        "authentication_error",
		faultAddressClients:  "rate_limit_error",
		faultPanic:           "api_error",
		faultDied:            "api_error",
		faultHeadTimeout:     "api_error",
		faultNoUpstream:      "overloaded_error",
		faultBodiesFull:      "overloaded_error",
	} {
		got := string(appendFault(nil, f, answerFields{}, messagesAPI))
		if _, body, _ := strings.Cut(got, "\r\n\r\n"); body != `{"type":"error","error":{"type":"`+want+`","message":"`+f.message+`"}}` {
			t.Errorf("%s: %s", f.reason, got)
		}
	}
}

// Cohere's form has the message at its top, and nothing else.
func TestFaultsInCoheresForm(t *testing.T) {
	got := string(appendFault(nil, faultNoUpstream, answerFields{}, cohereAPI))
	if _, body, _ := strings.Cut(got, "\r\n\r\n"); body != `{"message":"No model server is up."}` {
		t.Error(got)
	}
}
