package demo

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
)

// model is the name of the model that the simulated servers serve.
const model = "tiny"

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// chat is the body of a request. It has no session id: tether recognizes the conversation by its opening.
type chat struct {
	Model         string          `json:"model"`
	Messages      []message       `json:"messages"`
	MaxTokens     int             `json:"max_tokens"`
	Stream        bool            `json:"stream"`
	StreamOptions map[string]bool `json:"stream_options"`
}

// conversation is a chat that grows: each turn sends all of it again.
type conversation struct {
	pace     *Pace
	random   *rand.Rand
	messages []message
}

// opening begins the first message of each of our conversations. The conversation's number follows.
const opening = "Conversation "

// newConversation makes a conversation whose only message is its opening. Equal seeds of random give equal conversations.
func newConversation(number int, p *Pace, random *rand.Rand) *conversation {
	first := opening + strconv.Itoa(number) + ": " + prose(random, p.Opening)
	return &conversation{pace: p, random: random, messages: []message{{"user", first}}}
}

func (c *conversation) request() []byte {
	body, err := json.Marshal(chat{
		Model: model, Messages: c.messages, MaxTokens: c.pace.Answer, Stream: true, StreamOptions: map[string]bool{"include_usage": true},
	})
	if err != nil {
		panic("BUG: a chat of strings and numbers has no JSON: " + err.Error())
	}
	return body
}

func (c *conversation) answered(answer string) {
	c.messages = append(c.messages, message{"assistant", answer}, message{"user", prose(c.random, c.pace.Question)})
}

// isLater reports whether the next turn is not the first: its prompt can be in a cache.
func (c *conversation) isLater() bool { return len(c.messages) > 1 }

// length draws the number of turns of the conversation.
func (c *conversation) length() int { return c.pace.Turns + c.random.IntN(c.pace.Turns/2+1) }

// numberOf returns the number of the conversation that a request belongs to. It is not ok for any other request, such as a curl
// of the user.
func numberOf(body []byte) (n int, ok bool) {
	var q chat
	if json.Unmarshal(body, &q) != nil || len(q.Messages) == 0 {
		return 0, false
	}
	rest, ours := strings.CutPrefix(q.Messages[0].Content, opening)
	digits, _, ended := strings.Cut(rest, ":")
	if !ours || !ended {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

var vocabulary = strings.Fields("a of the and over under which there water river house light paper stone garden winter summer " +
	"morning evening letter story window bridge harbour quiet bright narrow open early late carries follows remembers keeps")

func prose(random *rand.Rand, n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = vocabulary[random.IntN(len(vocabulary))]
	}
	return strings.Join(words, " ")
}
