-- +goose Up
-- Accounts of the rails that pay out: what the B2C short code and Paystack hold for us, and what Paystack has not said the end of. What customers owe,
-- because a rail paid after all or took a payment back, is a receivable.
INSERT INTO accounts (id, code, kind, currency, normal_side, minimum_minor, book) VALUES
	('d4487f03-ee0f-5519-aff0-e63ff6d2a7bc', 'rail.mpesa.b2c.KES', 'system', 'KES', 'debit', NULL, 'emoney'),
	('8abb3cfb-8ae5-51d5-bd21-cec52fe6e0c2', 'rail.paystack.balance.KES', 'system', 'KES', 'debit', NULL, 'emoney'),
	('885d55c8-8a82-53b3-9e8d-350aa2f4626f', 'rail.paystack.in_doubt.KES', 'system', 'KES', 'debit', NULL, 'emoney'),
	('ce00773a-c8f4-5c45-8e92-ddfb8d1a9d2b', 'dispute.receivable.KES', 'system', 'KES', 'debit', NULL, 'emoney');
