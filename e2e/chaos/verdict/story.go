package verdict

import (
	"fmt"

	"tether/e2e/chaos/ledger"
)

// storyOf tells an attempt in one line.
func storyOf(a ledger.Attempt) string {
	end := "unfinished"
	if a.Done() {
		end = a.End.Sub(a.At).Round(1e6).String()
	}
	return fmt.Sprintf("%s %s at %s, status %d, aborted %t, faults %v", a.Server, end, a.At.Format("05.000"), a.Status, a.Aborted, a.Faults)
}

// turnsOf returns the turns of a conversation.
func (c *trial) turnsOf(conversation int) (turns []ledger.Turn) {
	if c.byConversation == nil {
		c.byConversation = map[int][]ledger.Turn{}
		for _, t := range c.l.Turns {
			c.byConversation[t.Conversation] = append(c.byConversation[t.Conversation], t)
		}
	}
	return c.byConversation[conversation]
}
