package clients

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"tether/e2e/binary"
	"tether/sim"
)

func openAI(p *binary.Tether) openai.Client {
	return openai.NewClient(option.WithBaseURL(p.URL+"/v1"), option.WithAPIKey("sk-test"))
}

// The official client, unchanged and without a session id, holds growing conversations. Answers are whole and streamed in turn. Each
// conversation stays on one server.
func TestOpenAIChat(t *testing.T) {
	var v visits
	p := binary.Run(t, servers(t, 3, sim.Config{}, v.note))
	client := openAI(p)
	used := map[string]bool{}
	for c := range 8 {
		params := openai.ChatCompletionNewParams{Model: "tiny", MaxTokens: openai.Int(8), Messages: []openai.ChatCompletionMessageParamUnion{
			openai.SystemMessage("Be brief."), openai.UserMessage(fmt.Sprintf("This is conversation %d.", c)),
		}}
		for turn := range 5 {
			var answer string
			if turn%2 == 0 {
				res, err := client.Chat.Completions.New(t.Context(), params)
				if err != nil {
					t.Fatal(err)
				}
				answer = res.Choices[0].Message.Content
			} else {
				stream := client.Chat.Completions.NewStreaming(t.Context(), params)
				acc := openai.ChatCompletionAccumulator{}
				for stream.Next() {
					acc.AddChunk(stream.Current())
				}
				if err := stream.Err(); err != nil {
					t.Fatal(err)
				}
				answer = acc.Choices[0].Message.Content
			}
			if answer == "" {
				t.Fatal("an empty answer")
			}
			params.Messages = append(params.Messages, openai.AssistantMessage(answer), openai.UserMessage(fmt.Sprintf("And turn %d?", turn)))
		}
		used[v.only(t)] = true
	}
	if len(used) < 2 {
		t.Errorf("all conversations on %v", used)
	}
}

func TestOpenAIResponses(t *testing.T) {
	p := binary.Run(t, servers(t, 3, sim.Config{}, nil))
	client := openAI(p)
	// With a session id, a chain of stored responses stays on its server.
	session := option.WithHeader("X-Session-Id", "chain-1")
	res, err := client.Responses.New(t.Context(), responses.ResponseNewParams{
		Model: "tiny", Instructions: openai.String("Be brief."), Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("Hello")},
	}, session)
	if err != nil {
		t.Fatal(err)
	}
	if res.OutputText() == "" {
		t.Error("an empty answer")
	}
	previous := res.ID
	for turn := range 5 {
		params := responses.ResponseNewParams{
			Model: "tiny", PreviousResponseID: openai.String(previous), Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(fmt.Sprint("turn ", turn))},
		}
		if turn%2 == 0 {
			next, err := client.Responses.New(t.Context(), params, session)
			if err != nil {
				t.Fatalf("turn %d: %v", turn, err)
			}
			previous = next.ID
			continue
		}
		stream := client.Responses.NewStreaming(t.Context(), params, session)
		for stream.Next() {
			if e := stream.Current(); e.Type == "response.completed" {
				previous = e.Response.ID
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatalf("turn %d: %v", turn, err)
		}
	}
	got, err := client.Responses.Get(t.Context(), previous, responses.ResponseGetParams{}, session)
	if err != nil || got.ID != previous {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOpenAIModelsAndEmbeddings(t *testing.T) {
	p := binary.Run(t, servers(t, 2, sim.Config{Models: []string{"tiny", "lora"}}, nil))
	client := openAI(p)
	page, err := client.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range page.Data {
		ids = append(ids, m.ID)
	}
	if fmt.Sprint(ids) != "[tiny lora]" {
		t.Errorf("models %v", ids)
	}
	if _, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
		Model: "tiny", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("hello")},
	}); err != nil {
		t.Error(err)
	}
}

// The client turns errors of the servers and of tether into its own error type.
func TestOpenAIErrors(t *testing.T) {
	p := binary.Run(t, servers(t, 2, sim.Config{}, nil))
	client := openAI(p)
	ask := func(model, path string, options ...option.RequestOption) *openai.Error {
		t.Helper()
		params := openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")}}
		_, err := client.Chat.Completions.New(t.Context(), params, append(options, option.WithMaxRetries(0), option.WithBaseURL(p.URL+path))...)
		var e *openai.Error
		if !errors.As(err, &e) {
			t.Fatalf("%v", err)
		}
		return e
	}
	if e := ask("unknown", "/v1"); e.StatusCode != 404 || !strings.Contains(e.Message, "unknown") {
		t.Errorf("unknown model: %d %s", e.StatusCode, e.Message)
	}
	if e := ask("tiny", "/v9"); e.StatusCode != 404 || e.Type != "not_found_error" || e.Message == "" {
		t.Errorf("unknown path: %d %s %s", e.StatusCode, e.Type, e.Message)
	}
	if e := ask("tiny", "/v1", option.WithHeader("X-Sim-Fault", "reset")); e.StatusCode != 502 || e.Message == "" {
		t.Errorf("killer prompt: %d %s", e.StatusCode, e.Message)
	}
	// The client retries by itself, but not if tether says that it should not.
	var v visits
	q := binary.Run(t, servers(t, 4, sim.Config{}, v.note))
	killer := openAI(q)
	_, err := killer.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
		Model: "tiny", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")},
	}, option.WithHeader("X-Sim-Fault", "reset"))
	if reached := v.take(); err == nil || len(reached) != 2 {
		t.Errorf("a killer prompt reached %v, %v", reached, err)
	}
	// A stream that is cut is an error for the client, never a short answer.
	stream := client.Chat.Completions.NewStreaming(t.Context(), openai.ChatCompletionNewParams{
		Model: "tiny", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")},
	}, option.WithHeader("X-Sim-Fault", "cut-between=2"))
	for stream.Next() {
	}
	if stream.Err() == nil {
		t.Error("the client takes a cut stream for a whole one")
	}
}
