package identity

// nameFilter tells most names of headers that do not matter from those that do, by their length and first letter: a set of letters for each
// length. A request has about ten fields, of which one or two matter.
type nameFilter [maxHeaderName + 1]uint32

// letter is the bit of a name's first byte. Upper and lower case have the same bit.
func letter(c byte) uint32 {
	if c == '_' { // as http1.FoldName
		c = '-'
	}
	return 1 << (c & 31)
}

func (f *nameFilter) add(name string) {
	if name != "" {
		f[len(name)] |= letter(name[0])
	}
}

// mayHave reports whether a header with a name of the filter can have this name, in any spelling.
func (f *nameFilter) mayHave(name []byte) bool {
	return len(name) > 0 && len(name) < len(f) && f[len(name)]&letter(name[0]) != 0
}
