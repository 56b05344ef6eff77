// Package page serves the files of the status page: HTML, style sheets and scripts, which are a part of the binary. The page loads nothing from
// elsewhere. It knows the API of the admin listener as every other client does.
//
// The scripts are tested in a browser, by e2e/browser.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed files
var files embed.FS

// policy is what the page may load and do: its own files and the API. Scripts cannot turn text into markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// file is a file of the page.
type file struct {
	content []byte
	kind    string // Content-Type
	tag     string // ETag
}

// all are the files by their paths.
var all = func() map[string]file {
	known := map[string]file{}
	err := fs.WalkDir(files, "files", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		sum := sha256.Sum256(content)
		known["/page"+strings.TrimPrefix(name, "files")] = file{content, types[path.Ext(name)], `"` + hex.EncodeToString(sum[:8]) + `"`}
		return err
	})
	if err != nil {
		panic("BUG: the files of the page cannot be read: " + err.Error())
	}
	known["/"] = known["/page/index.html"]
	delete(known, "/page/index.html")
	return known
}()

// Handler serves the page at "/", and its other files below "/page/". notFound answers every other path.
func Handler(notFound http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, known := all[r.URL.Path]
		if !known {
			notFound.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", f.tag)
		if r.Header.Get("If-None-Match") == f.tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(f.content) // the client may have left
	})
}
