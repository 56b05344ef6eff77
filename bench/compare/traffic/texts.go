package traffic

import (
	"fmt"
	"strings"
)

const streamHead = "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: uvicorn\r\n" +
	"content-type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"

const models = `{"object":"list","data":[{"id":"bench","object":"model","created":1790000000,"owned_by":"vllm","root":"bench"}]}`

const (
	completionBegin = `{"id":"chatcmpl-0123456789abcdef","object":"chat.completion","created":1790000000,"model":"bench","choices":[{"index":0,` +
		`"message":{"role":"assistant","content":"`
	completionEnd = `","refusal":null,"tool_calls":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":480,"total_tokens":620,` +
		`"completion_tokens":140,"prompt_tokens_details":{"cached_tokens":448}}}`
)

// Shortest is the size of the shortest answer, which has an empty text.
const Shortest = len(completionBegin) + len(completionEnd)

// completion returns a chat completion of this size, or the shortest one.
func completion(size int) string {
	return completionBegin + words(size-Shortest) + completionEnd
}

// words returns a text of n bytes.
func words(n int) string {
	const text = "The cache of a server holds what its conversations have said before, and a new turn is cheap where it is. "
	if n <= 0 {
		return ""
	}
	return strings.Repeat(text, n/len(text)+1)[:n]
}

// plain returns a response with a JSON body.
func plain(status, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: uvicorn\r\ncontent-length: %d\r\ncontent-type: application/json\r\n\r\n%s",
		status, len(body), body)
}
