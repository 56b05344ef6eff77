package accesslog

import (
	"strconv"
	"strings"
)

// Mode selects the requests that get a line: all, errors, none, or one in N and all errors. The zero value selects none.
type Mode struct {
	every      uint64 // one request in this many; 0 selects none
	errorsOnly bool
}

// ParseMode parses "all", "errors", "off" or "1/N".
func ParseMode(s string) (m Mode, ok bool) {
	switch s {
	case "all":
		return Mode{every: 1}, true
	case "errors":
		return Mode{every: 1, errorsOnly: true}, true
	case "off":
		return Mode{}, true
	}
	digits, isSample := strings.CutPrefix(s, "1/")
	n, err := strconv.ParseUint(digits, 10, 32)
	return Mode{every: n}, isSample && err == nil && n > 0
}
