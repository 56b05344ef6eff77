package talk

import "fmt"

// The APIs of conversations.
const (
	chat        = "chat"
	completions = "completions"
	messages    = "messages"
	responses   = "responses"
)

// style is how a conversation talks: its API, and how it names itself.
type style struct {
	api string
	// header and field name the place of the session id; both are empty for conversations without one.
	header, field string
	// chained means that each turn of the Responses API names the one before.
	chained bool
}

// styles are all styles; conversations take them in turn.
var styles = []style{
	{api: chat, header: "X-Session-Id"},
	{api: chat, header: "session_id"},
	{api: chat, header: "x-session-affinity"},
	{api: chat, field: "session_id"},
	{api: chat, field: "prompt_cache_key"},
	{api: chat},
	{api: completions, header: "X-Session-Id"},
	{api: completions, field: "session_id"},
	{api: completions},
	{api: messages, header: "X-Claude-Code-Session-Id"},
	{api: messages, field: "metadata.user_id"},
	{api: messages},
	{api: responses, header: "thread-id"},
	{api: responses, field: "conversation"},
	{api: responses},
	{api: responses, chained: true},
	{api: responses, chained: true, header: "X-Session-Id"},
}

// headerStyles are those that proxies understand which hash the header X-Session-Id.
var headerStyles = []style{
	{api: chat, header: "X-Session-Id"},
	{api: completions, header: "X-Session-Id"},
}

func (s style) path() string {
	switch s.api {
	case chat:
		return "/v1/chat/completions"
	case completions:
		return "/v1/completions"
	case messages:
		return "/v1/messages"
	}
	return "/v1/responses"
}

// source says how the conversation names itself, in the words of ledger.Turn.
func (s style) source() string {
	switch {
	case s.header != "":
		return "header:" + s.header
	case s.field != "":
		return "field:" + s.field
	case s.chained:
		return "response"
	}
	return "opening"
}

// identify adds the session id to the members of a body.
func (s style) identify(body map[string]any, id string) {
	switch s.field {
	case "":
	case "metadata.user_id":
		body["metadata"] = map[string]any{"user_id": fmt.Sprintf(`{"session_id":%q}`, id)}
	default:
		body[s.field] = id
	}
}
