-- +goose Up
-- What providers keep for themselves of the payments that they collect: an expense of the business, and money that the rail owes no longer.
INSERT INTO accounts (id, code, kind, currency, normal_side, minimum_minor, book) VALUES
	('06838e99-8555-5d53-acea-ba53dad9df29', 'fees.paid.KES', 'system', 'KES', 'debit', NULL, 'emoney');
