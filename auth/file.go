package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"tether/files"
)

// Bounds of a file.
const (
	maxFile   = 4 << 20
	maxKeys   = 10_000
	maxName   = 64
	maxHashes = 2 // of a name: the old one and the new one, while a key is changed
)

// Open reads the keys in file: lines of a name and the SHA-256 of its key in hex, set apart by blanks. Names are 1..64
// bytes of visible ASCII. A second hash behind the first is another key of that name, for the time in which one
// replaces the other. Empty lines and those that begin with # do not count. Errors name the line, and nothing of
// what is in it: it may be a key.
func Open(file string) (*Keys, error) {
	k := &Keys{file: file}
	text, err := k.read()
	k.changes.Judge(files.LookAt(err, text))
	if err := k.take(text, err); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *Keys) read() ([]byte, error) { return files.Read(k.file, "a file with API keys", maxFile) }

// take brings the keys in a content of the file into force, or says what is wrong with it.
func (k *Keys) take(text []byte, err error) error {
	if err != nil {
		return err
	}
	found, err := parse(text)
	if err != nil {
		return fmt.Errorf("%q: %w", k.file, err)
	}
	k.inForce.Store(found)
	return nil
}

// parsing is what the lines before have told.
type parsing struct {
	keys   *keys
	names  map[string]int            // the line of each
	hashes map[[sha256.Size]byte]int // likewise
}

func parse(text []byte) (*keys, error) {
	p := parsing{keys: &keys{byPrefix: map[uint64][]key{}}, names: map[string]int{}, hashes: map[[sha256.Size]byte]int{}}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		words := bytes.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if err := p.line(number, words); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if len(p.keys.names) == 0 {
		return nil, errors.New("no key in it, want a line NAME SHA-256 for each")
	}
	return p.keys, nil
}

// line takes in a name and its hashes.
func (p *parsing) line(number int, words [][]byte) error {
	name := string(words[0])
	switch {
	case len(words) < 2 || len(words) > 1+maxHashes:
		return fmt.Errorf("want NAME and one or %d SHA-256 in hex", maxHashes)
	case !validName(name):
		return fmt.Errorf("want a name of 1..%d bytes of visible ASCII", maxName)
	case p.names[name] > 0:
		return fmt.Errorf("the name is that of line %d already", p.names[name])
	case len(p.keys.names) == maxKeys:
		return fmt.Errorf("want at most %d names", maxKeys)
	}
	p.names[name] = number
	p.keys.names = append(p.keys.names, name)
	for _, word := range words[1:] {
		var hash [sha256.Size]byte
		if len(word) != hex.EncodedLen(len(hash)) {
			return errHash
		}
		if _, err := hex.Decode(hash[:], word); err != nil {
			return errHash // its own text shows a byte of the word
		}
		if first := p.hashes[hash]; first > 0 {
			return fmt.Errorf("the hash is in line %d already", first)
		}
		p.hashes[hash] = number
		p.keys.add(name, hash)
	}
	return nil
}

var errHash = fmt.Errorf("want a SHA-256 in hex, %d digits, and never the key itself", hex.EncodedLen(sha256.Size))

func validName(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(name) <= maxName
}
