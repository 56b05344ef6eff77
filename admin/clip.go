package admin

import "strings"

// maxShown bounds a name in an answer that came from a client or a server: a model's. Longer ones end with an ellipsis.
const maxShown = 256

func clip(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}
