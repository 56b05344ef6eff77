package http1

import "bytes"

// Param returns the parameter called name of a value such as multipart/form-data; boundary=b, the last one if there are several.
// It skips parts that are no parameter, and an unquoted value goes on to the next semicolon. Servers read forms this way, more
// freely than RFC 9110 5.6.6, and mime.ParseMediaType, which follows the RFC, would refuse what they accept.
func Param(value []byte, name string) (param []byte, found bool) {
	for _, rest, more := bytes.Cut(value, []byte{';'}); more; {
		var key, got []byte
		key, got, rest, more = cutParam(rest)
		if EqualFold(key, name) && got != nil {
			param, found = got, true
		}
	}
	return param, found
}

// cutParam takes one parameter off list and reports whether more follow. The value of a name without one is nil.
func cutParam(list []byte) (name, value, rest []byte, more bool) {
	end := bytes.IndexAny(list, "=;")
	if end < 0 {
		return Trim(list), nil, nil, false
	}
	name = Trim(list[:end])
	if list[end] == ';' {
		return name, nil, list[end+1:], true
	}
	list = Trim(list[end+1:])
	if len(list) == 0 || list[0] != '"' {
		value, rest, more = bytes.Cut(list, []byte{';'})
		return name, append([]byte{}, Trim(value)...), rest, more
	}
	value = []byte{}
	at := 1
	for ; at < len(list) && list[at] != '"'; at++ {
		if list[at] == '\\' && at+1 < len(list) && (list[at+1] == '"' || list[at+1] == '\\') {
			at++
		}
		value = append(value, list[at])
	}
	_, rest, more = bytes.Cut(list[min(at, len(list)):], []byte{';'})
	return name, value, rest, more
}
