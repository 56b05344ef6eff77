package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"tether/files"
)

// Limits of a file.
const (
	maxFile   = 4 << 20 // bytes
	maxKeys   = 10_000
	maxName   = 64 // bytes
	maxHashes = 2  // of one name: the old and the new hash, while a key is replaced
)

// Open reads the keys in file. Each line has a name and the SHA-256 of the key in hex, with blanks between. A name is
// 1..64 bytes of visible ASCII. A second hash in the line is another key of that name, for the time in which one key
// replaces the other. Empty lines and lines that begin with # are skipped. Errors give the number of the line and no
// part of its text, which may be a key.
func Open(file string) (*Keys, error) {
	k := &Keys{file: file}
	var err error
	set := files.Set{Paths: []string{file}, What: "a file with API keys", Max: maxFile}
	if k.follower, err = files.NewFollower(set, k.use); err != nil {
		return nil, err
	}
	return k, nil
}

// use brings the keys of a content of the file into force, or returns what is wrong with the content.
func (k *Keys) use(contents [][]byte) error {
	found, err := parse(contents[0])
	if err != nil {
		return fmt.Errorf("%q: %w", k.file, err)
	}
	k.table.Store(found)
	return nil
}

// parsing is what the lines so far have said.
type parsing struct {
	table  *table
	names  map[string]int            // number of the line that has the name
	hashes map[[sha256.Size]byte]int // number of the line that has the hash
}

func parse(text []byte) (*table, error) {
	p := parsing{table: &table{byPrefix: map[uint64][]key{}}, names: map[string]int{}, hashes: map[[sha256.Size]byte]int{}}
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
	if len(p.table.names) == 0 {
		return nil, errors.New("no key in it, want a line NAME SHA-256 for each")
	}
	return p.table, nil
}

// line adds a name and its hashes.
func (p *parsing) line(number int, words [][]byte) error {
	name := string(words[0])
	switch {
	case len(words) < 2 || len(words) > 1+maxHashes:
		return fmt.Errorf("want NAME and one or %d SHA-256 in hex", maxHashes)
	case !validName(name):
		return fmt.Errorf("want a name of 1..%d bytes of visible ASCII", maxName)
	case p.names[name] > 0:
		return fmt.Errorf("the name is that of line %d already", p.names[name])
	case len(p.table.names) == maxKeys:
		return fmt.Errorf("want at most %d names", maxKeys)
	}
	p.names[name] = number
	p.table.names = append(p.table.names, name)
	for _, word := range words[1:] {
		var hash [sha256.Size]byte
		if len(word) != hex.EncodedLen(len(hash)) {
			return errHash
		}
		if _, err := hex.Decode(hash[:], word); err != nil {
			return errHash // the text of err shows a byte of the word
		}
		if first := p.hashes[hash]; first > 0 {
			return fmt.Errorf("the hash is in line %d already", first)
		}
		p.hashes[hash] = number
		p.table.add(name, hash)
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
