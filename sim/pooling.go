package sim

import (
	"encoding/json"
	"fmt"
	"strings"

	"tether/sim/engine"
)

// The calls of pooling models have the smallest answer that their clients can read. The numbers are made from the input.

// embeddingsRequest is the body of /v1/embeddings and of the calls that are like it.
type embeddingsRequest struct {
	options
	Input promptField `json:"input"`
}

// pooled runs the prefill of inputs, and answers what goes wrong.
func (a *answer) pooled(o options, inputs [][]engine.Token) (c *call, t engine.Tally, ok bool) {
	o.N = nil
	if c, ok = a.check(o, nil); !ok || !a.admit() {
		return nil, t, false
	}
	defer a.life.release()
	if !c.prompt(inputs...) {
		return nil, t, false
	}
	c.job.Max = 0
	t, err := c.engine.Run(a.r.Context(), c.job, nil)
	if err != nil {
		a.abandon(err)
		return nil, t, false
	}
	return c, t, true
}

// listed answers with one item for each input, in the list form that several calls share.
func (a *answer) listed(prefix, object string, item func(i int, input []engine.Token) string) {
	var q embeddingsRequest
	if !a.decode(&q, "input") || !a.prompted(q.Input) {
		return
	}
	c, t, ok := a.pooled(q.options, q.Input.prompts)
	if !ok {
		return
	}
	var items []string
	for i, input := range q.Input.prompts {
		items = append(items, fmt.Sprintf(`{"index":%d,%s}`, i, item(i, input)))
	}
	c.ok(`{"id":%s,"object":%s,"created":%d,"model":%s,"data":[%s],"usage":%s}`,
		quote(prefix+c.id), quote(object), c.created, quote(c.model), strings.Join(items, ","), usageJSON(t, "null"))
}

func (a *answer) embeddings() {
	a.listed("embd-", "list", func(_ int, input []engine.Token) string {
		return `"object":"embedding","embedding":` + vector(input)
	})
}

func (a *answer) pooling() {
	a.listed("pool-", "list", func(_ int, input []engine.Token) string {
		return `"object":"pooling","data":` + vector(input)
	})
}

func (a *answer) classify() {
	a.listed("classify-", "list", func(_ int, input []engine.Token) string {
		p := similarity(input, nil)
		return fmt.Sprintf(`"label":"LABEL_0","probs":[%s,%s],"num_classes":2`, pyFloat(p), pyFloat(1-p))
	})
}

func (a *answer) cohereEmbed() {
	var q struct {
		options
		Texts []string `json:"texts"`
	}
	if !a.decode(&q, "texts") {
		return
	}
	inputs := tokenizeAll(q.Texts)
	c, _, ok := a.pooled(q.options, inputs)
	if !ok {
		return
	}
	var vectors []string
	for _, in := range inputs {
		vectors = append(vectors, vector(in))
	}
	c.ok(`{"id":%s,"embeddings":{"float":[%s]},"response_type":"embeddings_by_type"}`,
		quote("embd-"+c.id), strings.Join(vectors, ","))
}

// vector is eight numbers in [0, 1).
func vector(input []engine.Token) string {
	h := engine.Hash(0, input)
	numbers := make([]string, 8)
	for i := range numbers {
		numbers[i] = pyFloat(unit(engine.Mix(h, uint64(i))))
	}
	return "[" + strings.Join(numbers, ",") + "]"
}

// unit maps a hash to [0, 1), in steps of 1/1024 that a float holds exactly.
func unit(h uint64) float64 { return float64(h%1024) / 1024 }

func similarity(query, document []engine.Token) float64 {
	return unit(engine.Hash(engine.Hash(0, query), document))
}

func tokenizeAll(texts []string) [][]engine.Token {
	var out [][]engine.Token
	for _, t := range texts {
		out = append(out, engine.Tokenize(t))
	}
	return out
}

// texts is one text or a list of texts.
type texts []string

// UnmarshalJSON tries both forms.
func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}
