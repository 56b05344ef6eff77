package identity

import (
	"bytes"
	"encoding/binary"

	"tether/http1"
	"tether/jsonscan"
)

// media is what identifies a part that is no text, such as an image.
type media struct {
	uuid []byte // the client's name of it, nil without one
	sum  uint64 // of the hashes of its strings, so that their order does not count
}

// part hashes a part of a message: its text, or what identifies it as a medium.
func (o *opening) part(j *jsonscan.Scanner) {
	text, isText := j.RawString()
	var m media
	j.Object(func(name []byte) {
		if string(name) == "text" {
			if text, isText = j.RawString(); isText {
				return
			}
		}
		if !o.onlyCounts {
			o.mediaMember(&m, name, j)
		}
	})
	if isText {
		o.size += len(text)
	}
	switch {
	case o.onlyCounts:
		return
	case isText:
		o.text(&o.h, text)
		return
	case len(m.uuid) > 0:
		o.one.Reset()
		o.normalized(&o.one, m.uuid)
		m.sum = o.one.Sum64()
		o.mark(uuidMark)
	default:
		o.mark(partMark)
	}
	o.write(binary.LittleEndian.AppendUint64(o.buf[:0], m.sum))
}

// mediaMember takes the next value, of a member of a medium. The name that the client gave the medium stands for the
// medium: vLLM looks it up by that name, and a later turn may send the name alone.
func (o *opening) mediaMember(m *media, name []byte, j *jsonscan.Scanner) {
	if isHint(name) {
		return
	}
	if string(name) == "uuid" {
		if m.uuid, _ = j.RawString(); m.uuid == nil {
			m.uuid, _ = j.Integer()
		}
		return
	}
	before := j.Offset()
	j.Array(func() bool { // such as the blocks of a tool's result
		o.mediaValue(m, j)
		return true
	})
	if j.Offset() == before {
		o.mediaValue(m, j)
	}
}

// mediaValue takes the next value, of a member of a medium, and counts its strings. Hints are looked for in the value, and not
// further down.
func (o *opening) mediaValue(m *media, j *jsonscan.Scanner) {
	add := func(body []byte) { m.sum += o.mediaString(body) }
	before := j.Offset()
	j.Object(func(name []byte) {
		if !isHint(name) {
			add(name) // as Strings counts the names further down
			j.Strings(add)
		}
	})
	if j.Offset() == before {
		j.Strings(add)
	}
}

// isHint reports whether a member of a medium changes nothing in the prompt: cache hints move from turn to turn, and vLLM
// ignores the detail of an image.
func isHint(name []byte) bool { return string(name) == "cache_control" || string(name) == "detail" }

// mediaString hashes a string of a medium. The query and the fragment of a URL do not count: the signature of a presigned
// URL is another one in each turn, and the server's cache goes by what it finds at the URL.
func (o *opening) mediaString(body []byte) uint64 {
	o.one.Reset()
	if url := o.webURL(body); url != nil {
		_, _ = o.one.Write(url) // a hash never fails
	} else {
		o.text(&o.one, body)
	}
	return o.one.Sum64()
}

// maxScheme is the length of the longest way to write https:// in a JSON string.
const maxScheme = len("https://") * maxEscape

// isWeb reports whether a text begins like a URL of the web.
func isWeb(text []byte) bool {
	_, isHTTP := http1.CutPrefixFold(text, "http://")
	_, isHTTPS := http1.CutPrefixFold(text, "https://")
	return isHTTP || isHTTPS
}

// maxURL is the length of the longest start of a string that is searched for the query of a URL, in bytes.
const maxURL = 8 << 10

// webURL returns the URL in a JSON string without its query and fragment, nil for any string that is no URL of the web.
func (o *opening) webURL(body []byte) []byte {
	url := body[:min(len(body), maxURL)]
	if len(url) == 0 || url[0]|0x20 != 'h' && url[0] != '\\' || !isWeb(jsonscan.Unescape(o.buf[:0], url[:min(len(url), maxScheme)])) {
		return nil
	}
	if bytes.IndexByte(url, '\\') >= 0 {
		o.url = jsonscan.Unescape(o.url[:0], url)
		url = o.url
	}
	if end := bytes.IndexAny(url, "?#"); end >= 0 {
		return url[:end]
	}
	if len(body) > maxURL {
		return nil
	}
	return url
}
