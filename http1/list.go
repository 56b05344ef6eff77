package http1

import "bytes"

// hasToken reports whether a comma-separated list has the token lower, without regard to case.
func hasToken(list []byte, lower string) bool {
	for len(list) > 0 {
		var item []byte
		item, list = NextToken(list)
		if EqualFold(item, lower) {
			return true
		}
	}
	return false
}

// NamesFields reports whether a value of Connection names fields that are meant for one hop: any token but close and
// keep-alive.
func NamesFields(list []byte) bool {
	for len(list) > 0 {
		var item []byte
		if item, list = NextToken(list); len(item) > 0 && !EqualFold(item, "close") && !EqualFold(item, "keep-alive") {
			return true
		}
	}
	return false
}

// maxConnection bounds the values of all Connection fields of a head together, in bytes: each name in them is compared with
// each field.
const maxConnection = 256

// NextToken cuts the first item off a comma-separated list, without the white space around it.
func NextToken(list []byte) (item, rest []byte) {
	item, rest, _ = bytes.Cut(list, []byte{','})
	return Trim(item), rest
}
