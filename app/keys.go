package app

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"tether/auth"
	"tether/config"
	"tether/files"
)

// openKeys reads the file of API keys; without one the keys are nil.
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

// keysEvery is how often the file of API keys is looked at.
const keysEvery = time.Second

// followKeys starts the reloading of API keys, if clients need one.
func (a *app) followKeys() {
	if a.settings.keys == nil {
		return
	}
	a.metrics.Keys(a.settings.keys.Names())
	a.steps.start("API keys", func(ctx context.Context) error {
		return files.Follow(ctx, keysEvery, []*files.Follower{a.settings.keys.Files()}, func(_ int, err error) { a.keysReloaded(err) })
	})
}

// keysReloaded reports that the file of API keys changed; err is why its contents cannot be used.
func (a *app) keysReloaded(err error) {
	names := a.settings.keys.Names()
	a.metrics.KeysReloaded(err == nil)
	if err != nil {
		a.log.Error("API keys not reloaded, those before stay in force", zap.Int("keys", len(names)), zap.Error(err))
		return
	}
	a.metrics.Keys(names)
	a.log.Info("API keys reloaded", zap.Int("keys", len(names)))
}

// openTo says who may use the listener for clients, and which key of the configuration changes that.
func (a *app) openTo() string {
	if a.settings.keys != nil {
		return fmt.Sprintf("holders of %d API keys", len(a.settings.keys.Names()))
	}
	return reach(a.listener.Addr()) + ", without API keys: auth.keys_file asks for them"
}
