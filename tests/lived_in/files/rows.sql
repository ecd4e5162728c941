-- Rows for the tables of the first release, and for those of an owner who has added reviews.
-- Money is in hundredths on SQLite: a whole number has the same digits on both databases.

INSERT INTO users
    (id, email, name, password_hash, is_active, is_admin, token_version, created_at, updated_at)
VALUES
    (1, 'ada@example.com', 'Ada', '$argon2', true, true, 3,
     '2026-11-21 12:00:00.000000', '2026-11-22 12:00:00.000000'),
    (2, 'bob@example.com', 'Bob', '$argon2', false, false, 1,
     '2026-11-21 12:00:00.000001', '2026-11-21 12:00:00.000001');

INSERT INTO profiles (user_id, bio, created_at, updated_at)
VALUES (1, 'Sells lamps.', '2026-11-21 12:00:00.000000', '2026-11-22 12:00:00.000000');

INSERT INTO items
    (id, owner_id, name, description, colour, price, stock, version, created_at, updated_at)
VALUES
    (1, 1, 'Lamp', 'It shines.', 'red', 1250, 7, 2,
     '2026-11-21 12:00:00.000000', '2026-11-22 12:00:00.000000'),
    (2, 2, 'Straße', NULL, NULL, 0, 3000000000, 2147483647,
     '2026-11-21 12:00:00.000001', '2026-11-22 12:00:00.000001');

INSERT INTO reviews (id, item_id, author_id, stars, text, created_at, updated_at)
VALUES
    (1, 1, 2, 4, 'It does.', '2026-11-21 12:00:00.000000', '2026-11-22 12:00:00.000000');

INSERT INTO orders (id, buyer_id, status, created_at, updated_at)
VALUES (1, 2, 'shipped', '2026-11-21 12:00:00.000000', '2026-11-22 12:00:00.000000');

INSERT INTO order_lines (order_id, item_id, quantity, unit_price) VALUES (1, 1, 3, 1250);
