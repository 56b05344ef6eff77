package page

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	return w
}

// Every file is served with its type, and with the policy that keeps scripts and styles of others out.
func TestFiles(t *testing.T) {
	served := 0
	_ = fs.WalkDir(files, "files", func(name string, d fs.DirEntry, _ error) error {
		if d.IsDir() {
			return nil
		}
		path := strings.Replace(name, "files", "/page", 1)
		if path == "/page/index.html" {
			path = "/"
		}
		w := get(path)
		h := w.Header()
		if w.Code != 200 || w.Body.Len() == 0 || h.Get("Content-Type") == "" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("ETag") == "" ||
			strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';") {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
		if again := get(path, "If-None-Match: "+h.Get("ETag")); again.Code != 304 || again.Body.Len() != 0 {
			t.Errorf("%s again: %d, %d bytes", path, again.Code, again.Body.Len())
		}
		served++
		return nil
	})
	if served < 10 {
		t.Errorf("%d files", served)
	}
	for _, path := range []string{"/page/", "/page/index.html", "/page/nothing.js", "/page/../page.go", "/page/app.js/"} {
		if w := get(path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// No file has scripts or styles within markup, turns text into markup, stores anything, or names another host.
func TestFilesKeepThePolicy(t *testing.T) {
	for path, f := range all {
		text := regexp.MustCompile(`https?://www\.w3\.org/\S+`).ReplaceAllString(string(f.content), "")
		for _, bad := range []string{
			`(?i)\son[a-z]+\s*=\s*["']`, `\sstyle\s*=\s*["']`, `<style`, `<script(>|\s+[^>]*>[^<])`, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`,
			`localStorage|sessionStorage|document\.cookie|indexedDB`, `https?://`, `@import|url\(`,
		} {
			if found := regexp.MustCompile(bad).FindString(text); found != "" {
				t.Errorf("%s has %q", path, found)
			}
		}
	}
}

// What the page and its scripts name is there.
func TestReferences(t *testing.T) {
	for path, f := range all {
		for _, m := range regexp.MustCompile(`(?:src|href)="(page/[^"#]+)"|from "\./([^"]+)"`).FindAllStringSubmatch(string(f.content), -1) {
			name := "/" + m[1]
			if m[2] != "" {
				name = "/page/" + m[2]
			}
			if _, is := all[name]; !is {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
	}
}
