package identity

// nameFilter tells most names of headers and members that do not matter from those that do, by their length and first letter: a set of
// letters for each length, and one for all names that are longer. A request has about ten header fields, of which one or two matter.
type nameFilter [maxHeaderName + 2]uint32

// letter is the bit of a name's first byte. Upper and lower case have the same bit.
func letter(c byte) uint32 {
	if c == '_' { // as http1.FoldName
		c = '-'
	}
	return 1 << (c & 31)
}

func (f *nameFilter) add(name string) {
	if name != "" {
		f[min(len(name), len(f)-1)] |= letter(name[0])
	}
}

// mayHave reports whether a name of the filter can be this one, in any spelling of http1.FoldName.
func (f *nameFilter) mayHave(name []byte) bool {
	return len(name) > 0 && f[min(len(name), len(f)-1)]&letter(name[0]) != 0
}
