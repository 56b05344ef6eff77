package demo

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// message is one message of a chat.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// chat is the body of a request. It carries no session id: how the conversation opens names it.
type chat struct {
	Model         string    `json:"model"`
	Messages      []message `json:"messages"`
	MaxTokens     int       `json:"max_tokens"`
	Stream        bool      `json:"stream"`
	StreamOptions options   `json:"stream_options"`
}

type options struct {
	IncludeUsage bool `json:"include_usage"`
}

// conversation is a chat that grows: each turn sends all of it again.
type conversation struct {
	number   int
	pace     *Pace
	random   *rand.Rand
	messages []message
}

// opens begins the first message of each of our conversations; its number follows.
const opens = "Conversation "

// newConversation makes the conversation of a number, with its opening and no question yet. Equal seeds of random give
// equal conversations.
func newConversation(number int, p *Pace, random *rand.Rand) *conversation {
	opening := opens + strconv.Itoa(number) + ": " + prose(random, p.Opening)
	return &conversation{number: number, pace: p, random: random, messages: []message{{"user", opening}}}
}

// asks gives the request of the next turn: of the first it is the opening.
func (c *conversation) asks() []byte {
	body, err := json.Marshal(chat{
		Model: model, Messages: c.messages, MaxTokens: c.pace.Answer, Stream: true, StreamOptions: options{IncludeUsage: true},
	})
	if err != nil {
		panic("BUG: a chat of strings and numbers has no JSON: " + err.Error())
	}
	return body
}

// goesOn takes an answer, and asks the next question.
func (c *conversation) goesOn(answer string) {
	c.messages = append(c.messages, message{"assistant", answer}, message{"user", prose(c.random, c.pace.Question)})
}

// later reports whether the next turn is not the first: its prompt can be in a cache.
func (c *conversation) later() bool { return len(c.messages) > 1 }

// turns is how long this conversation shall be.
func (c *conversation) turns() int { return c.pace.Turns + c.random.IntN(c.pace.Turns/2+1) }

// numberOf gives the number of the conversation that a request is of. ok is false for those of others, such as a curl of
// who watches.
func numberOf(body []byte) (n int, ok bool) {
	var q chat
	if json.Unmarshal(body, &q) != nil || len(q.Messages) == 0 {
		return 0, false
	}
	rest, ours := strings.CutPrefix(q.Messages[0].Content, opens)
	digits, _, ended := strings.Cut(rest, ":")
	if !ours || !ended {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

var words = strings.Fields("a of the and over under which there water river house light paper stone garden winter summer " +
	"morning evening letter story window bridge harbour quiet bright narrow open early late carries follows remembers keeps")

// prose is text of n words that means nothing.
func prose(random *rand.Rand, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(words[random.IntN(len(words))])
	}
	return b.String()
}

// examples are requests to try by hand.
func examples(clients, operators string) []string {
	at := fmt.Sprintf(`%s/v1/chat/completions -H 'Content-Type: application/json' -d`, clients)
	return []string{
		`curl -i ` + at + ` '{"model":"` + model + `","messages":[{"role":"user","content":"Hello"}]}'`,
		`curl -N -H 'X-Session-Id: alice' ` + at + ` '{"model":"` + model + `","stream":true,"messages":[{"role":"user","content":"Hello"}]}'`,
		`curl ` + operators + `/api/upstreams`,
	}
}

// model is what the simulated servers serve.
const model = "tiny"
