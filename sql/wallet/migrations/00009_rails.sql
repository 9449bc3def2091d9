-- +goose Up
-- Prices of money that leaves by a rail and comes in by one, which banking sells. The figures for withdrawals are examples that an operator replaces.
INSERT INTO tariffs (id, country, kind, currency, effective_from) VALUES
	(20, 'KE', 'withdrawal', 'KES', '2023-08-01 00:00:00+03'),
	(21, 'KE', 'deposit', 'KES', '2023-08-01 00:00:00+03');
INSERT INTO tariff_bands (tariff_id, up_to_minor, fee_minor) VALUES
	(20, 10000, 500), (20, 150000, 1500), (20, 500000, 2500), (20, 2000000, 4000), (20, 25000000, 6000),
	(21, 25000000, 0);
