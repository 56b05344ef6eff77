package clients

import (
	"errors"
	"fmt"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"tether/e2e/binary"
	"tether/sim"
)

func anthropicClient(p *binary.Tether) anthropic.Client {
	return anthropic.NewClient(option.WithBaseURL(p.URL), option.WithAPIKey("sk-test"))
}

func TestAnthropicMessages(t *testing.T) {
	var v visits
	p := binary.Run(t, servers(t, 3, sim.Config{}, v.note))
	client := anthropicClient(p)
	used := map[string]bool{}
	for c := range 6 {
		params := anthropic.MessageNewParams{
			Model: "tiny", MaxTokens: 8, System: []anthropic.TextBlockParam{{Text: "Be brief."}},
			Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(fmt.Sprintf("This is conversation %d.", c)))},
		}
		for turn := range 4 {
			message := anthropic.Message{}
			if turn%2 == 0 {
				res, err := client.Messages.New(t.Context(), params)
				if err != nil {
					t.Fatal(err)
				}
				message = *res
			} else {
				stream := client.Messages.NewStreaming(t.Context(), params)
				for stream.Next() {
					if err := message.Accumulate(stream.Current()); err != nil {
						t.Fatal(err)
					}
				}
				if err := stream.Err(); err != nil {
					t.Fatal(err)
				}
			}
			if len(message.Content) == 0 || message.Content[0].Text == "" {
				t.Fatal("an empty answer")
			}
			params.Messages = append(params.Messages, anthropic.NewAssistantMessage(anthropic.NewTextBlock(message.Content[0].Text)),
				anthropic.NewUserMessage(anthropic.NewTextBlock(fmt.Sprintf("And turn %d?", turn))))
		}
		if _, err := client.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{
			Model: "tiny", System: anthropic.MessageCountTokensParamsSystemUnion{OfTextBlockArray: params.System}, Messages: params.Messages,
		}); err != nil {
			t.Error(err)
		}
		used[v.only(t)] = true
	}
	if len(used) < 2 {
		t.Errorf("all conversations on %v", used)
	}
}

func TestAnthropicErrors(t *testing.T) {
	p := binary.Run(t, servers(t, 2, sim.Config{}, nil))
	client := anthropicClient(p)
	params := anthropic.MessageNewParams{Model: "tiny", MaxTokens: 8, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("hello"))}}
	for fault, want := range map[string]int{"status=400": 400, "reset": 502, "bad-head": 502} {
		_, err := client.Messages.New(t.Context(), params, option.WithMaxRetries(0), option.WithHeader("X-Sim-Fault", fault))
		var e *anthropic.Error
		if !errors.As(err, &e) || e.StatusCode != want {
			t.Errorf("%s: %v", fault, err)
		}
	}
	stream := client.Messages.NewStreaming(t.Context(), params, option.WithHeader("X-Sim-Fault", "cut-between=3"))
	for stream.Next() {
	}
	if stream.Err() == nil {
		t.Error("the client takes a cut stream for a whole one")
	}
}
