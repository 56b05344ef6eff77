package sim

import "testing"

func TestGenerate(t *testing.T) {
	s := start(t, Config{})
	checkAnswer(t, s, "/inference/v1/generate", `{"token_ids":[1,2],"sampling_params":{"max_tokens":2}}`,
		`"finish_reason":"length","stop_reason":null,"token_ids":[`)
	checkAnswer(t, s, "/inference/v1/generate", `{"token_ids":[1,2],"sampling_params":{"max_tokens":2},"stream":true}`, "data: [DONE]\n\n")
}
