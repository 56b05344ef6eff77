package main

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"tether/auth"
	"tether/config"
)

// openKeys reads the file of API keys; nil where there is none.
func openKeys(cfg *config.Config) (*auth.Keys, error) {
	if cfg.Auth.KeysFile == "" {
		return nil, nil
	}
	keys, err := auth.Open(cfg.Auth.KeysFile)
	if err != nil {
		return nil, usageError{fmt.Errorf("auth.keys_file: %w", err)}
	}
	return keys, nil
}

// keepKeys starts what reloads the API keys, where clients need one.
func (t *tether) keepKeys() {
	if t.keys == nil {
		return
	}
	t.metrics.Keys(t.keys.Names())
	t.steps.start("API keys", func(ctx context.Context) error { return t.keys.Run(ctx, t.keysReloaded) })
}

// keysReloaded hears of a new content of their file.
func (t *tether) keysReloaded(err error) {
	names := t.keys.Names()
	t.metrics.KeysReloaded(err == nil)
	if err != nil {
		t.log.Error("API keys not reloaded, those before stay in force", zap.Int("keys", len(names)), zap.Error(err))
		return
	}
	t.metrics.Keys(names)
	t.log.Info("API keys reloaded", zap.Int("keys", len(names)))
}

// openTo says whom the listener for clients serves, and what closes it.
func (t *tether) openTo() string {
	if t.keys != nil {
		return fmt.Sprintf("holders of %d API keys", len(t.keys.Names()))
	}
	return reach(t.listener.Addr()) + ", without API keys: auth.keys_file asks for them"
}
