-- +goose Up
-- The chart of system accounts. An id is the UUIDv5 of the code (domain.SystemAccountID), so that a code needs no look-up.
-- A new rail or currency is a further migration with more rows. Minimum: money of no known owner cannot be given out twice.
INSERT INTO accounts (id, code, kind, currency, normal_side, minimum_minor) VALUES
	('35ee5100-ed79-5325-9e26-2940b4f5925d', 'rail.mpesa.paybill.KES', 'system', 'KES', 'debit', NULL),
	('46d5cb6a-0c0d-5c7e-9646-4c842ad9f012', 'rail.mpesa.in_doubt.KES', 'system', 'KES', 'debit', NULL),
	('a38f57d5-011d-57d6-9532-11650483e373', 'fees.revenue.KES', 'system', 'KES', 'credit', NULL),
	('2ba98bbf-c5b4-5980-b1a0-13ff926461c4', 'excise.payable.KES', 'system', 'KES', 'credit', NULL),
	('ccda7e96-f84e-5c6a-bfea-5cc5d5537b6f', 'commission.payable.KES', 'system', 'KES', 'credit', NULL),
	('1cdaf242-b31c-5f1a-b493-9f4696a9f448', 'suspense.KES', 'system', 'KES', 'credit', 0),
	('18878517-f219-59ae-9bdb-2e0fa302d642', 'fees.revenue.UGX', 'system', 'UGX', 'credit', NULL),
	('4a35db78-6a82-5c23-b43f-976497d2adb6', 'excise.payable.UGX', 'system', 'UGX', 'credit', NULL),
	('d40cce6a-090f-55fa-9e6c-f6f2af82320f', 'commission.payable.UGX', 'system', 'UGX', 'credit', NULL),
	('980ae467-805d-5a23-9895-65a81ad49dc7', 'suspense.UGX', 'system', 'UGX', 'credit', 0),
	('9ed3b956-93d1-5db1-bcfe-8f7187a6d5e4', 'fees.revenue.RWF', 'system', 'RWF', 'credit', NULL),
	('b056ce61-5e4e-5066-b057-37793ab563b1', 'excise.payable.RWF', 'system', 'RWF', 'credit', NULL),
	('7b151da7-bb59-50b7-9f5e-2660f0d6c466', 'commission.payable.RWF', 'system', 'RWF', 'credit', NULL),
	('c9f72af5-89c5-5bce-81c0-1bdb7dbc9ffe', 'suspense.RWF', 'system', 'RWF', 'credit', 0),
	('fec3205d-f845-558f-9410-d188ed832f5c', 'fees.revenue.USD', 'system', 'USD', 'credit', NULL),
	('1e3cd7dc-4388-5609-95f8-1ee0b1bea660', 'excise.payable.USD', 'system', 'USD', 'credit', NULL),
	('ab6c1d9f-af75-5fa6-984f-5c262d8c1cd7', 'commission.payable.USD', 'system', 'USD', 'credit', NULL),
	('cb72754a-935e-59a8-bb58-32dddc6ee1a5', 'suspense.USD', 'system', 'USD', 'credit', 0);
