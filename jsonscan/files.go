package jsonscan

import "bytes"

// Files counts the files that a text has in its strings, as base64, such as pictures.
type Files struct {
	// Count is the number of such strings, Bytes their lengths together, with what stands before the base64.
	Count, Bytes int
}

// Files returns the files that the Scanner has taken or skipped since Reset. A string counts if it has at least 4096 bytes and begins
// like base64 or like a data URL with base64.
func (s *Scanner) Files() Files { return s.files }

// minFile is the length of the shortest string that can be a file, in bytes.
const minFile = 4 << 10

// see counts a string of at least minFile bytes if it holds a file.
func (f *Files) see(body []byte) {
	if isFile(body) {
		f.Count++
		f.Bytes += len(body)
	}
}

// isFile reports whether a string of at least minFile bytes begins like a file in base64.
func isFile(body []byte) bool {
	const maxType = 256 // bytes of the media type of a data URL
	if bytes.HasPrefix(body, []byte("data:")) {
		kind, _, found := bytes.Cut(body[:maxType], []byte{','})
		return found && bytes.HasSuffix(kind, []byte(";base64"))
	}
	return isBase64(body[:256])
}

// isBase64 reports whether b is of base64's signs alone, with letters of both cases and digits among them: a text has spaces, a list
// of numbers no letters, and a line of one letter no digits. Some writers escape slashes.
func isBase64(b []byte) bool {
	var seen signs
	for _, c := range b {
		sign := base64Signs[c]
		if sign == 0 {
			return false
		}
		seen |= sign
	}
	return seen&(upperSign|lowerSign|digitSign) == upperSign|lowerSign|digitSign
}

// signs is a set of kinds of characters.
type signs uint8

const (
	upperSign signs = 1 << iota
	lowerSign
	digitSign
	otherSign
)

// base64Signs are the characters of base64, in both of its alphabets (RFC 4648), and the backslash before an escaped slash.
var base64Signs = func() (t [256]signs) {
	for c := byte('A'); c <= 'Z'; c++ {
		t[c], t[c|0x20] = upperSign, lowerSign
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = digitSign
	}
	for _, c := range []byte(`+/-_\`) {
		t[c] = otherSign
	}
	return t
}()
