package health

import (
	"context"
	"time"

	"tether/upstream/models"
	"tether/upstream/transport"
)

// readModels refreshes the server's list of models. If that fails, the last known list stays in force.
func (p *prober) readModels(conn *transport.Conn, timeout time.Duration) {
	answer, err := p.get(conn, "/v1/models", timeout)
	if err != nil {
		return
	}
	body, err := conn.ReadBody(&answer, maxModelsBody, timeout)
	if err != nil {
		return
	}
	p.noteKey(answer.Status == 401)
	if answer.Status != 200 {
		return
	}
	if list, ok := models.Parse(body); ok {
		p.server.SetModels(list)
	}
}

// redialForModels is readModels on a new connection, for a server that closes the connection after each answer.
func (p *prober) redialForModels(ctx context.Context, timeout time.Duration) {
	if conn, hangUp, err := p.dial(ctx, timeout); err == nil {
		p.readModels(conn, timeout)
		hangUp()
	}
}

// noteKey notes whether the server refused the request because of the API key, and warns once it refuses the configured one.
func (p *prober) noteKey(refused bool) {
	if refused && !p.server.NeedsKey() && p.server.RequestOptions().Key != "" {
		p.warn("it refuses the key of api_key_file: it says 401 to /v1/models")
	}
	p.server.SetNeedsKey(refused)
}
