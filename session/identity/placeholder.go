package identity

import (
	"bytes"
	"strings"
)

// placeholderWords are values that stand for no id: the nulls of programming languages as text, defaults, and the names of
// the thing itself. They are lower case, and without the bytes that wordOf drops.
var placeholderWords = map[string]bool{
	"undefined": true, "null": true, "nullptr": true, "none": true, "nil": true, "nan": true, "n/a": true,
	"default": true, "unset": true, "unknown": true, "placeholder": true, "string": true, // Swagger's example of a string
	"sessionid": true, "chatid": true, "conversationid": true, "threadid": true,
	"yoursessionid": true, "yourchatid": true, "yourconversationid": true, "yourthreadid": true,
}

// maxPlaceholderWord is more than the length of any word of placeholderWords with hyphens, in bytes.
const maxPlaceholderWord = 24

// IsPlaceholder reports whether a client left an id unfilled: all of its conversations would share the value. The value is
// a null that became text, or a placeholder that no program replaced.
func IsPlaceholder(id []byte) bool {
	id = unquoted(id)
	if len(id) > maxID {
		return false
	}
	return isPlaceholderWord(id) || isUnfilledFormat(id) || hasTemplate(id) || isNilUUID(id)
}

// unquoted returns id without one pair of quotes around it.
func unquoted(id []byte) []byte {
	if n := len(id); n > 2 && id[0] == id[n-1] && (id[0] == '"' || id[0] == '\'' || id[0] == '`') {
		return id[1 : n-1]
	}
	return id
}

// isPlaceholderWord reports whether id, or what follows its last separator, is a word that stands for no id: null,
// chat-undefined.
func isPlaceholderWord(id []byte) bool {
	for _, word := range [...]string{"undefined", "null"} {
		if before, has := bytes.CutSuffix(id, []byte(word)); has && (len(before) == 0 || strings.IndexByte("-_:/.", before[len(before)-1]) >= 0) {
			return true
		}
	}
	if len(id) > maxPlaceholderWord {
		return false
	}
	var buf [maxPlaceholderWord]byte
	word := wordOf(buf[:0], id)
	return len(word) > 0 && placeholderWords[string(word)]
}

// isNilUUID reports whether id is the UUID without a bit set (RFC 9562 5.9), with or without hyphens.
func isNilUUID(id []byte) bool {
	for _, c := range id {
		if c != '0' && c != '-' {
			return false
		}
	}
	return len(id) >= 32
}

// wordOf appends id in lower case to dst, without hyphens and underscores. It returns nil if id has something else than letters and
// slashes, as most ids do.
func wordOf(dst, id []byte) []byte {
	for _, c := range id {
		switch {
		case isLetter(c):
			dst = append(dst, c|0x20)
		case c == '/':
			dst = append(dst, c)
		case c != '-' && c != '_':
			return nil
		}
	}
	return dst
}

// isUnfilledFormat reports whether id is one verb of a format, or a name between marks as languages write what is to be
// replaced: %s, %(id)s, {chat_id}, {0}, <session_id>, [object Object], (null), $CHAT_ID, %CHAT_ID%, :chat_id, __CHAT_ID__.
func isUnfilledFormat(id []byte) bool {
	if len(id) < 2 {
		return false
	}
	first, last, inside := id[0], id[len(id)-1], id[1:len(id)-1]
	switch first {
	case '{', '<', '[', '(':
		return last == closing(first) && (isBlankName(inside) || first == '{' && len(inside) == 1)
	case '$', ':':
		return isVariable(id[1:])
	case '%':
		return last == '%' && isVariable(inside) || id[1] == '!' || id[1] == '(' || len(id) <= 3 && (isLetter(last) || last == '@')
	case '_':
		return bytes.HasPrefix(id, []byte("__")) && bytes.HasSuffix(id, []byte("__")) && len(id) > 4 && isVariable(id[2:len(id)-2])
	}
	return false
}

// closing returns the bracket that closes one of {<[(.
func closing(bracket byte) byte {
	if bracket == '(' {
		return ')'
	}
	return bracket + 2 // in ASCII
}

// isBlankName reports whether a text between brackets is a name, or empty, and no id: it has no digits, for ids have some.
func isBlankName(text []byte) bool {
	for _, c := range text {
		if !isLetter(c) && strings.IndexByte("_-.: !$", c) < 0 {
			return false
		}
	}
	return true
}

// isVariable reports whether a text is the name of a variable.
func isVariable(text []byte) bool {
	for _, c := range text {
		if !isLetter(c) && c != '_' && (c < '0' || c > '9') {
			return false
		}
	}
	return len(text) > 0 && (isLetter(text[0]) || text[0] == '_')
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// templates are the marks that template languages put around what they replace, anywhere in a text.
var templates = [...]struct{ open, end string }{{"{{", "}}"}, {"{%", "%}"}, {"<%", "%>"}, {"${", "}"}, {"#{", "}"}, {"%{", "}"}, {"@{", "}"}, {"$(", ")"}, {"[object ", "]"}}

// hasTemplate reports whether a part of id is a template that no program replaced.
func hasTemplate(id []byte) bool {
	if !hasBracket(id) {
		return false
	}
	for _, t := range templates {
		if _, after, has := bytes.Cut(id, []byte(t.open)); has && bytes.Contains(after, []byte(t.end)) {
			return true
		}
	}
	return false
}

// hasBracket is cheaper for most ids than the search for each template.
func hasBracket(id []byte) bool {
	for _, c := range id {
		if c == '{' || c == '[' || c == '(' || c == '<' {
			return true
		}
	}
	return false
}
