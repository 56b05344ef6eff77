package identity

// nameFilter rules most names of headers and members out that do not matter, by their length and first letter. It has a set of letters for
// each length. One more set is for all longer names. Of the ten header fields that a request has on average, one or two matter.
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
