"""
The same kind of library served by safrs, from an SQLite file that it makes.

Run as ``python safrs_library.py FILE``; it writes its address before it serves. Ids are text with leading zeros.
"""

import logging
import sys
from datetime import datetime

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from safrs import SAFRSAPI, SAFRSBase
from werkzeug.serving import make_server

db = SQLAlchemy()


class Person(SAFRSBase, db.Model):
    """Who reads or writes."""

    __tablename__ = "people"
    id = db.Column(db.String, primary_key=True)
    name = db.Column(db.String)
    joined_on = db.Column(db.Date)
    books_read = db.relationship("Book", back_populates="reader", foreign_keys="Book.reader_id")


class Book(SAFRSBase, db.Model):
    """What is read."""

    __tablename__ = "books"
    id = db.Column(db.String, primary_key=True)
    title = db.Column(db.String)
    pages = db.Column(db.Integer)
    weight = db.Column(db.Float)
    in_print = db.Column(db.Boolean)
    published_at = db.Column(db.DateTime)
    reader_id = db.Column(db.String, db.ForeignKey("people.id"))
    reader = db.relationship("Person", back_populates="books_read", foreign_keys=[reader_id])


def application(path):
    """Make the tables, five people and thirty books, and the application that serves them."""
    app = Flask("library")
    app.config.update(SQLALCHEMY_DATABASE_URI=f"sqlite:///{path}", SECRET_KEY="of no use")
    db.init_app(app)
    with app.app_context():
        db.create_all()
        names = ["Ana", "Βασίλης", "Null", "O'Brien, Cyd", None]
        people = [Person(id=f"p-{number:03d}", name=name) for number, name in enumerate(names)]
        books = [
            Book(
                id=f"{number:03d}",
                title=f"Book\n{number:02d}" if number % 7 else None,
                pages=number * 10 if number % 4 else None,
                weight=number / 3 if number % 5 else None,
                in_print=None if number % 6 == 0 else number % 2 == 0,
                published_at=datetime(2020, 1, 1 + number, 12, 30, 15, number),  # noqa: DTZ001  as SQLite keeps it
                reader=people[number % 5] if number % 9 else None,
            )
            for number in range(30)
        ]
        db.session.add_all([*people, *books])
        db.session.commit()
        api = SAFRSAPI(app, host="127.0.0.1", port=0, prefix="/api")
        api.expose_object(Person)
        api.expose_object(Book)
    return app


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    server = make_server("127.0.0.1", 0, application(sys.argv[1]), threaded=False)
    print(f"http://127.0.0.1:{server.server_port}/api", flush=True)  # noqa: T201  it is what the tests wait for
    server.serve_forever()
