"""Books, who wrote them, and what they are about."""

from django.db import models


class Country(models.Model):
    name = models.CharField(max_length=50)

    class JSONAPIMeta:
        resource_name = "countries"


class Author(models.Model):
    full_name = models.CharField(max_length=50)
    born_on = models.DateField(null=True)
    country = models.ForeignKey(Country, null=True, on_delete=models.CASCADE)

    class JSONAPIMeta:
        resource_name = "authors"


class Subject(models.Model):
    name = models.CharField(max_length=50)

    class JSONAPIMeta:
        resource_name = "subjects"


class Book(models.Model):
    title = models.CharField(max_length=100)
    page_count = models.IntegerField(null=True)
    weight = models.FloatField(null=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    in_print = models.BooleanField(null=True)
    published_at = models.DateTimeField(null=True)
    extra = models.JSONField(null=True)
    author = models.ForeignKey(Author, null=True, on_delete=models.CASCADE)
    subjects = models.ManyToManyField(Subject)

    class JSONAPIMeta:
        resource_name = "books"
