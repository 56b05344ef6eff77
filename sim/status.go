package sim

import (
	"fmt"
	"net/http"
	"time"
)

// version is the vLLM version whose answers are simulated.
const version = "0.32.0"

// fingerprint is the system_fingerprint of all answers.
const fingerprint = "vllm-" + version + "-9ae3acab"

// health answers 200 while a server drains too, as vLLM does.
func health(a *answer) error {
	a.send(http.StatusOK, "", nil)
	return nil
}

// always makes a handler that answers every request with the same JSON.
func always(body string) func(*answer) error {
	return func(a *answer) error {
		a.json(http.StatusOK, "%s", body)
		return nil
	}
}

const modelForm = `{"id":%s,"object":"model","created":%d,"owned_by":"vllm","root":%s,"parent":null,"max_model_len":%d,` +
	`"permission":[{"id":"modelperm-%s","object":"model_permission","created":%d,"allow_create_engine":false,` +
	`"allow_sampling":true,"allow_logprobs":true,"allow_search_indices":false,"allow_view":true,` +
	`"allow_fine_tuning":false,"organization":"*","group":null,"is_blocking":false}]}`

func models(a *answer) error {
	now := time.Now().Unix()
	a.json(http.StatusOK, `{"object":"list","data":[%s]}`, each(a.srv.cfg.Models, func(_ int, m string) string {
		return fmt.Sprintf(modelForm, quote(m), now, quote(m), a.srv.cfg.MaxModelLen, newID(), now)
	}))
	return nil
}
