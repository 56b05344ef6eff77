package clients

import (
	"fmt"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

// each calls hold with the name and the model of every conversation of a kind.
func each(t *testing.T, kind string, hold func(name, model string) error) {
	t.Helper()
	for n := range conversations {
		for _, model := range models {
			name := fmt.Sprintf("conversation-go-%s-%s-%d", kind, model, n)
			if err := hold(name, model); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

func TestOpenAIGo(t *testing.T) {
	f := newFleet(t)
	client := openai.NewClient(option.WithBaseURL(f.URL+"/v1"), option.WithAPIKey("sk-test"), option.WithMaxRetries(0))
	each(t, "chat", func(name, model string) error { return openAIChat(t, client, name, model) })
	each(t, "responses", func(name, model string) error { return openAIResponses(t, client, name, model) })
	f.judge(t, "openai-go", "chat", "responses")
}

// openAIChat holds a growing conversation. Answers are whole and streamed in turn. There are tools from the third turn on.
func openAIChat(t *testing.T, client openai.Client, name, model string) error {
	params := openai.ChatCompletionNewParams{
		Model: model, MaxTokens: openai.Int(8),
		Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief."), openai.UserMessage(name)},
	}
	for turn := range turns {
		if turn == 2 {
			params.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
				Name: "now", Parameters: shared.FunctionParameters{"type": "object"},
			})}
		}
		params.Temperature = openai.Float(float64(turn) / 10)
		answer, err := openAITurn(t, client, params, turn%2 == 1)
		if err != nil {
			return err
		}
		call := openai.ChatCompletionMessageToolCallUnionParam{OfFunction: &openai.ChatCompletionMessageFunctionToolCallParam{
			ID: fmt.Sprint("call_", turn), Function: openai.ChatCompletionMessageFunctionToolCallFunctionParam{Name: "now", Arguments: "{}"},
		}}
		assistant := openai.AssistantMessage(answer)
		assistant.OfAssistant.ToolCalls = []openai.ChatCompletionMessageToolCallUnionParam{call}
		params.Messages = append(params.Messages, assistant, openai.ToolMessage("noon", call.OfFunction.ID), openai.UserMessage(fmt.Sprintf("And turn %d?", turn)))
	}
	return nil
}

func openAITurn(t *testing.T, client openai.Client, params openai.ChatCompletionNewParams, streamed bool) (string, error) {
	if !streamed {
		res, err := client.Chat.Completions.New(t.Context(), params)
		if err != nil {
			return "", err
		}
		return res.Choices[0].Message.Content, nil
	}
	var answer openai.ChatCompletionAccumulator
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	for stream.Next() {
		answer.AddChunk(stream.Current())
	}
	if err := stream.Err(); err != nil {
		return "", err
	}
	return answer.Choices[0].Message.Content, nil
}

// openAIResponses makes a chain of stored responses, whole and streamed in turn. It looks up each response.
func openAIResponses(t *testing.T, client openai.Client, name, model string) error {
	params := responses.ResponseNewParams{Model: model, Instructions: openai.String("Be brief."), MaxOutputTokens: openai.Int(8)}
	for turn := range turns {
		params.Input.OfString = openai.String(fmt.Sprintf("%s, turn %d", name, turn))
		var id string
		if turn%2 == 0 {
			res, err := client.Responses.New(t.Context(), params)
			if err != nil {
				return err
			}
			id = res.ID
		} else {
			stream := client.Responses.NewStreaming(t.Context(), params)
			for stream.Next() {
				if e := stream.Current(); e.Type == "response.completed" {
					id = e.Response.ID
				}
			}
			if err := stream.Err(); err != nil {
				return err
			}
		}
		got, err := client.Responses.Get(t.Context(), id, responses.ResponseGetParams{})
		if err != nil || got.ID != id || got.OutputText() == "" {
			return fmt.Errorf("look-up: %+v, %w", got, err)
		}
		params.PreviousResponseID = openai.String(id)
	}
	return nil
}

func TestAnthropicGo(t *testing.T) {
	f := newFleet(t)
	client := anthropic.NewClient(anthropicoption.WithBaseURL(f.URL), anthropicoption.WithAPIKey("sk-test"), anthropicoption.WithMaxRetries(0))
	each(t, "messages", func(name, model string) error { return anthropicMessages(t, client, name, model) })
	f.judge(t, "anthropic-go", "messages")
}

// anthropicMessages holds a growing conversation. Answers are whole and streamed in turn. There are tools from the third turn on.
func anthropicMessages(t *testing.T, client anthropic.Client, name, model string) error {
	params := anthropic.MessageNewParams{
		Model: model, MaxTokens: 8, System: []anthropic.TextBlockParam{{Text: "Be brief."}},
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(name))},
	}
	for turn := range turns {
		if turn == 2 {
			params.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{Name: "now"}}}
		}
		answer, err := anthropicTurn(t, client, params, turn%2 == 1)
		if err != nil {
			return err
		}
		id := fmt.Sprint("toolu_", turn)
		params.Messages = append(params.Messages,
			anthropic.NewAssistantMessage(anthropic.NewTextBlock(answer), anthropic.NewToolUseBlock(id, struct{}{}, "now")),
			anthropic.NewUserMessage(anthropic.NewToolResultBlock(id, "noon", false), anthropic.NewTextBlock(fmt.Sprintf("And turn %d?", turn))))
	}
	return nil
}

func anthropicTurn(t *testing.T, client anthropic.Client, params anthropic.MessageNewParams, streamed bool) (string, error) {
	if !streamed {
		res, err := client.Messages.New(t.Context(), params)
		if err != nil {
			return "", err
		}
		return res.Content[0].Text, nil
	}
	var text strings.Builder
	stream := client.Messages.NewStreaming(t.Context(), params)
	for stream.Next() {
		text.WriteString(stream.Current().Delta.Text)
	}
	return text.String(), stream.Err()
}
