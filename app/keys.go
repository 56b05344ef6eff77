package app

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
		return nil, usageError("auth.keys_file: %w", err)
	}
	return keys, nil
}

// keepKeys starts what reloads the API keys, where clients need one.
func (a *app) keepKeys() {
	if a.keys == nil {
		return
	}
	a.metrics.Keys(a.keys.Names())
	a.steps.start("API keys", func(ctx context.Context) error { return a.keys.Run(ctx, a.keysReloaded) })
}

// keysReloaded hears of a new content of their file.
func (a *app) keysReloaded(err error) {
	names := a.keys.Names()
	a.metrics.KeysReloaded(err == nil)
	if err != nil {
		a.log.Error("API keys not reloaded, those before stay in force", zap.Int("keys", len(names)), zap.Error(err))
		return
	}
	a.metrics.Keys(names)
	a.log.Info("API keys reloaded", zap.Int("keys", len(names)))
}

// openTo says whom the listener for clients serves, and what closes it.
func (a *app) openTo() string {
	if a.keys != nil {
		return fmt.Sprintf("holders of %d API keys", len(a.keys.Names()))
	}
	return reach(a.listener.Addr()) + ", without API keys: auth.keys_file asks for them"
}
