package files

import "crypto/sha256"

// Changes notices new contents of files. The content is looked at rather than the time of its last change: what Kubernetes
// mounts changes by a link.
type Changes struct{ judged, last Look }

// Look is what was found in files: a hash of their contents, or of why they could not be read.
type Look [sha256.Size]byte

// LookAt makes a Look of the contents of files, or of why they could not be read.
func LookAt(err error, contents ...[]byte) (l Look) {
	if err != nil {
		contents = [][]byte{[]byte(err.Error())}
	}
	h := sha256.New()
	for _, content := range contents {
		sum := sha256.Sum256(content)
		h.Write(sum[:])
	}
	h.Sum(l[:0])
	return l
}

// Judge takes note of what is in force, or is known to be wrong.
func (c *Changes) Judge(now Look) { c.judged, c.last = now, now }

// New reports whether there is something new that two looks in a row found, and judges it: nothing counts that is half
// written.
func (c *Changes) New(now Look) bool {
	settled := now == c.last && now != c.judged
	c.last = now
	if settled {
		c.judged = now
	}
	return settled
}
