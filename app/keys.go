package app

import (
	"context"
	"time"

	"go.uber.org/zap"

	"tether/auth"
	"tether/config"
	"tether/files"
)

// openKeys reads the file of API keys. Without such a file it returns nil.
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
	keys := a.settings.Load().keys
	if keys == nil {
		return
	}
	a.metrics.Keys(keys.Names())
	a.steps.start("API keys", func(ctx context.Context) error {
		return files.Follow(ctx, keysEvery, []*files.Follower{keys.Files()}, func(_ int, err error) { a.keysReloaded(keys.Names(), err) })
	})
}

// keysReloaded is called when the file of API keys changed. names are the keys in force; err is why the new contents
// cannot be used.
func (a *app) keysReloaded(names []string, err error) {
	a.metrics.KeysReloaded(err == nil)
	if err != nil {
		a.log.Error("API keys not reloaded, the previous ones stay in force", zap.Int("keys", len(names)), zap.Error(err))
		return
	}
	a.metrics.Keys(names)
	a.log.Info("API keys reloaded", zap.Int("keys", len(names)))
}
