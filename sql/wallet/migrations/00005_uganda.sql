-- +goose Up

-- Uganda, as in packs/UG.yaml (written by `go run ./packs/seed UG`).
INSERT INTO tariffs (id, country, kind, currency, excise_included, effective_from) VALUES
	(6, 'UG', 'transfer', 'UGX', false, '2022-03-01 00:00:00+03:00');
INSERT INTO tariff_bands (tariff_id, up_to_minor, fee_minor) VALUES
	(6, 5000, 0),
	(6, 60000, 500),
	(6, 500000, 1000),
	(6, 1000000, 1500),
	(6, 5000000, 2500);
INSERT INTO taxes (country, tax, rate_ppm, effective_from) VALUES
	('UG', 'excise', 150000, '2022-03-01 00:00:00+03:00');
INSERT INTO limits (country, tier, kind, currency, per_transaction_minor, per_day_minor, per_month_minor, effective_from) VALUES
	('UG', 1, 'transfer', 'UGX', 1000000, 2000000, 20000000, '2022-03-01 00:00:00+03:00'),
	('UG', 2, 'transfer', 'UGX', 5000000, 20000000, 200000000, '2022-03-01 00:00:00+03:00'),
	('UG', 3, 'transfer', 'UGX', 5000000, 20000000, 200000000, '2022-03-01 00:00:00+03:00');
INSERT INTO balance_limits (country, tier, currency, maximum_minor, effective_from) VALUES
	('UG', 1, 'UGX', 2000000, '2022-03-01 00:00:00+03:00'),
	('UG', 2, 'UGX', 20000000, '2022-03-01 00:00:00+03:00'),
	('UG', 3, 'UGX', 20000000, '2022-03-01 00:00:00+03:00');

-- Wallets that customers of Uganda have already were opened when no balance was allowed there: the ledger is told their maximum now.
INSERT INTO river_job (args, kind, max_attempts, metadata, priority, queue, state, tags)
SELECT jsonb_build_object('wallet_id', w.id), 'wallet.open_account', 32767, '{}', 1, 'money', 'available', '{}'
FROM wallets w JOIN customers c ON c.user_id = w.user_id WHERE c.country = 'UG';
