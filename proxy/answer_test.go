package proxy

import (
	"strings"
	"testing"
)

func TestAnswerHeaders(t *testing.T) {
	got := answerHead(t, "HTTP/1.0 201 Made\r\nServer: uvicorn\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nx-request-id: theirs\r\n"+
		"X-Session-Id: theirs\r\nX-Tether-Affinity: theirs\r\nX-Tether-Upstream: theirs\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\n", false)
	want := "HTTP/1.1 201 Made\r\nServer: uvicorn\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n" +
		"X-Session-Id: s\r\nX-Request-Id: r\r\nX-Tether-Affinity: pinned\r\nContent-Length: 2\r\n\r\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := answerHead(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n", true); !strings.Contains(got, "Transfer-Encoding: chunked\r\n") || !strings.Contains(got, "Trailer: X\r\n") {
		t.Error(got)
	}
	if got := answerHead(t, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false); strings.Contains(got, "Content-Length") {
		t.Error(got)
	}
	two := answerHead(t, "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nConnection: keep-alive\r\nX-Hop: secret\r\nContent-Length: 0\r\n\r\n", false)
	if strings.Contains(two, "X-Hop") {
		t.Error(two)
	}
	cors := answerHead(t, "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n\r\n", false)
	if !strings.Contains(cors, "Access-Control-Expose-Headers: X-Session-Id, X-Tether-Affinity\r\n") {
		t.Error(cors)
	}
	for location, want := range map[string]string{
		"http://10.0.0.1:8000/v1/models?a=b": "/v1/models?a=b",
		"https://10.0.0.1:8000":              "/",
		"//10.0.0.1//b/c":                    "/c",
		"https://10.0.0.1?x=1":               "/?x=1",
		"http:////10.0.0.1/a":                "/a",
		"/v1/models":                         "/v1/models",
		"/login?next=https://app/y":          "/login?next=https://app/y",
		"relative":                           "relative",
	} {
		got := answerHead(t, "HTTP/1.1 307 Temporary Redirect\r\nlocation: "+location+"\r\n\r\n", false)
		if !strings.Contains(got, "location: "+want+"\r\n") || strings.Contains(got, "10.0.0.1") {
			t.Errorf("%s: %s", location, got)
		}
	}
}

// Clients reach the paths of an upstream without the prefix of its URL.
func TestLocationsLoseThePrefix(t *testing.T) {
	for location, want := range map[string]string{
		"http://10.0.0.1:8000/gpu-0/v1/models?a=b": "/v1/models?a=b",
		"/gpu-0/v1/models":                         "/v1/models",
		"/gpu-0":                                   "/",
		"/gpu-0/":                                  "/",
		"/gpu-0?x=1":                               "/?x=1",
		"/gpu-01/v1":                               "/gpu-01/v1",
		"/v1/models":                               "/v1/models", // the server does not know of the prefix
		"relative":                                 "relative",
	} {
		for _, name := range []string{"Location", "Content-Location"} {
			got := answerHeadFrom(t, "/gpu-0", "HTTP/1.1 307 Temporary Redirect\r\n"+name+": "+location+"\r\n\r\n", false)
			if !strings.Contains(got, name+": "+want+"\r\n") {
				t.Errorf("%s: %s", location, got)
			}
		}
	}
}
