package health

import "tether/upstream/models"

// readModels refreshes the server's list of models. If that fails, the last known list stays in force.
func (p *prober) readModels(v *visit) {
	status, body, err := v.get("/v1/models", maxModelsBody)
	if err != nil {
		return
	}
	p.noteKey(status == 401)
	if status != 200 {
		return
	}
	if list, ok := models.Parse(body); ok {
		p.server.SetModels(list)
	}
}

// noteKey notes whether the server refused the request because of the API key, and warns once it refuses the configured one.
func (p *prober) noteKey(refused bool) {
	if refused && !p.server.NeedsKey() && p.server.RequestOptions().Key != "" {
		p.warn("it refuses the key of api_key_file: it says 401 to /v1/models")
	}
	p.server.SetNeedsKey(refused)
}
