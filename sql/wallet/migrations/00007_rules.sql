-- +goose Up

-- Prices, taxes and limits are added by two people (kit/approve). The service's role cannot insert them; it calls add_rule with the id of the
-- approval, and the change as the checker was shown it. Rows of before, and those that migrations add, have no approval.
ALTER TABLE tariffs ADD COLUMN approval_id uuid CONSTRAINT tariffs_approval UNIQUE REFERENCES approvals;
ALTER TABLE taxes ADD COLUMN approval_id uuid CONSTRAINT taxes_approval UNIQUE REFERENCES approvals;
ALTER TABLE limits ADD COLUMN approval_id uuid CONSTRAINT limits_approval UNIQUE REFERENCES approvals;

CREATE SEQUENCE tariff_ids AS integer START 1000000; -- packs number theirs from 1

-- +goose StatementBegin
CREATE FUNCTION add_rule(approval uuid, change text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	a      approvals%ROWTYPE;
	c      jsonb := change::jsonb;
	starts timestamptz := (c->>'effective_from')::timestamptz;
	tariff integer;
BEGIN
	SELECT * INTO a FROM approvals WHERE id = approval AND state = 'approved';
	IF NOT FOUND THEN
		RAISE EXCEPTION 'a rule needs an approval that was given';
	END IF;
	-- The object's name ends with the hash of the change, so that an approval is good for one change only.
	IF right(a.object_id, 24) IS DISTINCT FROM left(encode(sha256(convert_to(change, 'UTF8')), 'hex'), 24) THEN
		RAISE EXCEPTION 'approval % is for another change', approval;
	END IF;
	-- Each replica reads the rules anew in less time, and a quote is priced by those of its moment.
	IF starts IS NULL OR starts < a.decided_at + interval '60 seconds' THEN
		RAISE EXCEPTION 'a rule begins at least 60 seconds after its approval';
	END IF;
	IF a.action = 'tariff.add' THEN
		INSERT INTO tariffs (id, country, kind, currency, tier, excise_included, effective_from, approval_id)
		VALUES (nextval('tariff_ids'), c->>'country', c->>'kind', c->>'currency', (c->>'tier')::smallint, (c->>'excise_included')::boolean, starts,
			approval) RETURNING id INTO tariff;
		INSERT INTO tariff_bands (tariff_id, up_to_minor, fee_minor)
		SELECT tariff, b.up_to_minor, b.fee_minor FROM jsonb_to_recordset(c->'bands') AS b (up_to_minor bigint, fee_minor bigint);
		IF NOT FOUND THEN
			RAISE EXCEPTION 'a tariff needs a band';
		END IF;
	ELSIF a.action = 'tax.add' THEN
		INSERT INTO taxes (country, tax, rate_ppm, effective_from, approval_id)
		VALUES (c->>'country', c->>'tax', (c->>'rate_ppm')::bigint, starts, approval);
	ELSIF a.action = 'limit.add' THEN
		INSERT INTO limits (country, tier, kind, currency, per_transaction_minor, per_day_minor, per_month_minor, effective_from, approval_id)
		VALUES (c->>'country', (c->>'tier')::smallint, c->>'kind', c->>'currency', (c->>'per_transaction_minor')::bigint,
			(c->>'per_day_minor')::bigint, (c->>'per_month_minor')::bigint, starts, approval);
	ELSE
		RAISE EXCEPTION 'approval % is for no rule', approval;
	END IF;
END $$;
-- +goose StatementEnd

-- What was promised to a customer stays what it was: a rule is followed by another one, and never changed.
-- +goose StatementBegin
CREATE FUNCTION rules_only_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'rows of % are only added', TG_TABLE_NAME;
END $$;
-- +goose StatementEnd
CREATE TRIGGER rules_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON tariffs FOR EACH STATEMENT EXECUTE FUNCTION rules_only_added();
CREATE TRIGGER rules_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON tariff_bands FOR EACH STATEMENT EXECUTE FUNCTION rules_only_added();
CREATE TRIGGER rules_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON taxes FOR EACH STATEMENT EXECUTE FUNCTION rules_only_added();
CREATE TRIGGER rules_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON limits FOR EACH STATEMENT EXECUTE FUNCTION rules_only_added();
CREATE TRIGGER rules_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON balance_limits FOR EACH STATEMENT EXECUTE FUNCTION rules_only_added();

-- +goose StatementBegin
DO $$
DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
	REVOKE ALL ON FUNCTION add_rule(uuid, text) FROM PUBLIC;
	EXECUTE format('GRANT EXECUTE ON FUNCTION add_rule(uuid, text) TO %I', app);
	EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON tariffs, tariff_bands, taxes, limits, balance_limits FROM %I', app);
	EXECUTE format('REVOKE ALL ON SEQUENCE tariff_ids FROM %I', app);
END $$;
-- +goose StatementEnd
