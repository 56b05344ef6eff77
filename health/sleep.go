package health

import "encoding/json"

// sleepPath tells whether vLLM's engine sleeps or is paused. Requests then wait for the engine, while /health stays 200. The path
// exists in vLLM's development mode alone (VLLM_SERVER_DEV_MODE), as the call that puts the engine to sleep does.
const sleepPath = "/is_sleeping"

// maxSleepBody limits the answer of sleepPath, in bytes.
const maxSleepBody = 4 << 10

// sleeps reports whether the server sleeps: what it says, or without an answer what it said last. A server without sleepPath is not
// asked again until it was down: another process may then be there.
func (p *prober) sleeps(v *visit) bool {
	if p.neverSleeps {
		return false
	}
	status, body, err := v.get(sleepPath, maxSleepBody)
	var answer struct {
		IsSleeping bool `json:"is_sleeping"`
	}
	switch {
	case status >= 400 && status < 500:
		p.neverSleeps, p.asleep = true, false
	case status == 200 && err == nil && json.Unmarshal(body, &answer) == nil:
		p.asleep = answer.IsSleeping
	}
	return p.asleep
}
